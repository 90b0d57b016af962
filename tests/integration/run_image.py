"""run_image.py BUNDLE ARGUMENT...: run the bundle's program with the arguments, as docker run does.

Becomes runc, which passes signals on.
"""

import json
import os
import sys
from pathlib import Path

bundle = Path(sys.argv[1])
specification = json.loads(bundle.joinpath("template.json").read_text())
specification["process"]["args"] += sys.argv[2:]
bundle.joinpath("config.json").write_text(json.dumps(specification))
name = f"lanner-image-{os.getpid()}"
os.execvp("runc", ["runc", "run", "--bundle", str(bundle), name])
