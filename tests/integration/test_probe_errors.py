"""What stands in the way of the probe is told in one sentence that says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.errors import ProbeError
from exporter.sources.probe import compile_child, kernel, launch, source_text

OPEN = """
import os
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
from exporter.errors import ProbeError
from exporter.sources.probe.probe import Probe
try:
    Probe().open()
except ProbeError as error:
    print(error)
"""


def test_missing_privileges():
    """Without root or capabilities: the error says which ones to grant."""
    result = subprocess.run(
        [sys.executable, "-c", OPEN], capture_output=True, text=True, check=False
    )

    assert "E_PRIVILEGES" in result.stdout
    assert "CAP_BPF" in result.stdout
    assert "Traceback" not in result.stderr


def test_text_that_does_not_compile():
    """Clang's own message is shown, and kept whole."""
    child = launch.CompileChild(source_text.locate_bpf())
    try:
        child.start("int step_x(void *ctx) { return wrong; }")
        with pytest.raises(launch.CompileError, match="does not compile") as caught:
            child.finish()
    finally:
        child.close()

    assert "undeclared identifier 'wrong'" in caught.value.log
    assert "undeclared identifier 'wrong'" in str(caught.value)


def test_missing_bcc(tmp_path, monkeypatch):
    """Where bcc's library is not installed, the error names the package."""
    script = tmp_path / "compile_child.py"
    text = Path(compile_child.__file__).read_text()
    script.write_text(text.replace("libbcc.so.0", "libbcc-is-missing.so.0"))
    monkeypatch.setattr(compile_child, "__file__", str(script))
    child = launch.CompileChild(source_text.locate_bpf())
    try:
        child.start("")
        with pytest.raises(ProbeError, match="cannot be loaded") as caught:
            child.finish()
    finally:
        child.close()

    assert caught.value.code == "E_NO_BCC"
    assert "python3-bpfcc" in str(caught.value)


def test_a_child_that_dies():
    """A compiler that was killed is told with its status."""
    child = launch.CompileChild(source_text.locate_bpf())
    try:
        child._process.kill()
        child._process.wait()
        with pytest.raises(ProbeError, match="ended with status -9"):
            child.finish()
    finally:
        child.close()


def test_refused_program():
    """The verifier's last lines are shown, and its whole log is kept."""
    never_ends = bytes.fromhex("0500ffff00000000")  # a jump to itself

    with pytest.raises(kernel.RefusedError, match="refused the program endless") as caught:
        kernel.load_program("endless", never_ends)

    assert caught.value.code == "E_VERIFIER"
    assert caught.value.log
