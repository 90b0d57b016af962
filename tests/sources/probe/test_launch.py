"""What the unprivileged compiler gets to read."""

import stat
import subprocess
import sys

import pytest

from exporter.sources.probe import compile_child
from exporter.sources.probe.launch import readable_copy


def test_everybody_can_read_the_copy(tmp_path):
    """Files of a checkout that only root may enter are copied with modes that let nobody in."""
    source, target = tmp_path / "bpf", tmp_path / "copy"
    (source / "include" / "linux").mkdir(parents=True, mode=0o700)
    (source / "probe.c").write_text("int x;")
    (source / "include" / "linux" / "types.h").write_text("typedef int t;")
    (source / "notes.txt").write_text("not C")
    for path in source.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    target.mkdir(mode=0o700)

    readable_copy(source, target)

    modes = {
        str(path.relative_to(target)): stat.S_IMODE(path.stat().st_mode)
        for path in target.rglob("*")
    }
    assert modes == {
        "probe.c": 0o644,
        "include": 0o755,
        "include/linux": 0o755,
        "include/linux/types.h": 0o644,
    }
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("limits", "uid"),
    [
        ((), "65534"),
        (("setpriv", "--bounding-set=-all,+bpf", "--inh-caps=-all,+bpf"), "0"),
    ],
    ids=["root", "least"],
)
def test_the_compiler_has_no_privileges(limits, uid):
    """It becomes nobody where it may, and has no capability even where it stays root by name."""
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1])['drop_privileges']();"
        "print(open('/proc/self/status').read())"
    )
    done = subprocess.run(
        [*limits, sys.executable, "-c", code, compile_child.__file__],
        capture_output=True,
        text=True,
        check=False,
    )
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)

    assert done.returncode == 0, done.stderr
    assert status["Uid"].split("\t") == [uid] * 4
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapPrm"], 16) == 0
