"""Coverage-guided fuzzing of captures: reader, state, rules and fields on whatever bytes come.

    .venv/bin/python tests/fuzz/fuzz_captures.py -max_total_time=60 corpus

Options are those of libFuzzer. The seeds are written into the corpus at the start: small captures
of every version and byte order, plain and packed. A capture may end with one CaptureError; anything
else that is raised, an input that takes longer than `-timeout`, and one that takes more memory than
`-rss_limit_mb`, is a failure.
"""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent

SECONDS_AN_INPUT = 10
MEGABYTES = 400
"""Instrumented code and the fuzzer's own tables included."""

MAX_BYTES = 16_384


def seeds() -> dict[str, bytes]:
    """Name -> capture to start from."""
    from tests.captures.everything import everything
    from tests.captures.writer import Capture, Process

    found = {"everything": everything().data(), "packed": everything().data(packed=True)}
    for big_endian in (False, True):
        for version in (1, 2):
            capture = Capture(big_endian=big_endian, version=version)
            capture.processes(Process(5), version=9 if version == 2 else 1)
            capture.event("PPME_SYSCALL_READ_E", 5, fd=1, size=2)
            capture.event("PPME_SYSCALL_READ_X", 5, nparams=2, res=0, data=b"x")
            capture.event("PPME_SYSCALL_CHDIR_X", 5, res=0, path="/tmp")
            capture.section().event("PPME_SYSCALL_CLOSE_X", 6, res=0, fd=3)
            found[f"v{version}-{'big' if big_endian else 'little'}"] = capture.data()
    return found


def options_of(arguments: list[str]) -> list[str]:
    """The command line with bounds put before it; the seeds are in the first directory named."""
    options = [word for word in arguments if word.startswith("-")]
    corpora = [word for word in arguments if not word.startswith("-")]
    if corpora:
        corpus = Path(corpora[0])
        corpus.mkdir(parents=True, exist_ok=True)
        for name, data in seeds().items():
            (corpus / f"seed-{name}").write_bytes(data)
    limits = [f"-timeout={SECONDS_AN_INPUT}", f"-max_len={MAX_BYTES}", f"-rss_limit_mb={MEGABYTES}"]
    return [*limits, *options, *corpora]


def main() -> None:
    """Fuzz until an input fails or the time is over."""
    sys.path.insert(0, str(HERE.parents[1]))
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["exporter.sources.capture", "exporter.state"]):
        mutations = import_module("tests.captures.mutations")
    import_module("exporter.rules.dns").RESOLVER.is_online = False
    whole_path = mutations.WholePath()
    atheris.Setup([sys.argv[0], *options_of(sys.argv[1:])], whole_path.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
