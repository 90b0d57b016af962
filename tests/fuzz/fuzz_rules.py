"""Coverage-guided fuzzing of everything that people write: conditions, outputs, rules files.

    .venv/bin/python tests/fuzz/fuzz_rules.py -max_total_time=60 corpus

Options are those of libFuzzer. New inputs go into the directory named (made if missing); the
committed seeds and dictionary are used besides. The first byte of an input says what the rest is:
`c` a condition, `o` an output format, `r` a rules file. Whatever is wrong with it must come back as
a reported error: any other exception, and an input that takes longer than `-timeout`, is a failure.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEEDS = HERE / "seeds"
DICTIONARY = HERE / "rules.dict"

SECONDS_AN_INPUT = 10
"""Far more than any input of `MAX_BYTES` needs, coverage counting included."""

MAX_BYTES = 4096

Target = Callable[[bytes], None]


def load_target() -> Target:
    """The function to fuzz; everything it runs is imported here, so that it can be instrumented."""
    from exporter.errors import RuleError
    from exporter.rules.ast import Check, Exists, walk
    from exporter.rules.bind import bind_check
    from exporter.rules.check import check_condition
    from exporter.rules.conditions import ConditionError
    from exporter.rules.describe import describe, describe_text
    from exporter.rules.engine import Engine
    from exporter.rules.event_index import EventIndexError, event_types
    from exporter.rules.format import compile_format
    from exporter.rules.loader import RulesSource, load_rules
    from exporter.rules.operand_parser import ConditionSyntaxError
    from exporter.rules.parser import RULE_MAX_DEPTH, parse_condition
    from exporter.rules.printer import print_condition, to_json
    from exporter.rules.template import FormatError
    from tests.factories import make_event

    events = [
        make_event("openat", fd_name="/etc/shadow"),
        make_event("close"),
        make_event("asyncevent"),
    ]

    def check_place(place: int, data: bytes) -> None:
        """An error is somewhere in the text it is about."""
        assert 0 <= place <= len(data.decode("utf-8", "replace").encode())

    def condition(data: bytes) -> None:
        try:
            node = parse_condition(data.decode("utf-8", "replace"), RULE_MAX_DEPTH)
        except ConditionSyntaxError as error:
            check_place(error.position.idx, data)
            return
        json.dumps(to_json(node))
        print_condition(node)
        for source in ("syscall", "k8s_audit"):
            try:
                check_condition(node, source)
                for check in walk(node):
                    if isinstance(check, Check | Exists):
                        bind_check(check, source)
                event_types(node, source)
            except (ConditionError, EventIndexError):
                continue

    def output(data: bytes) -> None:
        try:
            compiled = compile_format(data.decode("utf-8", "replace"), "syscall")
        except FormatError as error:
            check_place(error.offset, data)
            return
        for event in events:
            compiled.render(event)
            json.dumps(compiled.fields(event))

    def rules(data: bytes) -> None:
        report = load_rules([RulesSource("a.yaml", data), RulesSource("b.yaml", data)])
        json.dumps(report.to_json())
        report.verbose()
        report.summary()
        json.dumps(describe(report))
        describe_text(report)
        try:
            engine = Engine(report.ruleset)
        except RuleError:
            return
        for event in events:
            engine.match(event)

    readers = {b"c": condition, b"o": output, b"r": rules}

    def target(data: bytes) -> None:
        reader = readers.get(data[:1])
        if reader is not None:
            reader(data[1:])

    return target


def options_of(arguments: list[str]) -> list[str]:
    """The command line with what the fuzzer shall always be told put around it."""
    options = [word for word in arguments if word.startswith("-")]
    corpora = [word for word in arguments if not word.startswith("-")]
    for corpus in corpora:
        if not Path(corpus).exists():
            Path(corpus).mkdir(parents=True)
    return [
        f"-timeout={SECONDS_AN_INPUT}",
        f"-max_len={MAX_BYTES}",
        f"-dict={DICTIONARY}",
        *options,
        *corpora,
        str(SEEDS),
    ]


def main() -> None:
    """Fuzz until an input fails or the time is over."""
    sys.path.insert(0, str(HERE.parents[1]))
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["exporter.rules"]):
        target = load_target()
    # Names in inputs are not to be looked up.
    import_module("exporter.rules.dns").RESOLVER.is_online = False
    atheris.Setup([sys.argv[0], *options_of(sys.argv[1:])], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
