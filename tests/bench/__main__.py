"""`python -m tests.bench [options] [NAME...]`: one table a bench_NAME.py here.

A bench is a module with `TITLE` and `run(*, quick) -> rows of report.Row`.
"""

import argparse
import importlib
import sys
from pathlib import Path

from tests.bench import options
from tests.bench.report import print_machine, print_table


def main() -> int:
    """Run the chosen benches, all by default, in the order of their names."""
    names = sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="fewer tries: to see that it runs")
    parser.add_argument(
        "--rules",
        action="append",
        default=[],
        metavar="FILE[,FILE...]",
        type=options.rule_set,
        help="rules files instead of the bench's own; once for each set that load compares",
    )
    parser.add_argument(
        "--seconds",
        action="append",
        default=[],
        type=float,
        help="how long each load of the bench load runs in sum (60)",
    )
    arguments = parser.parse_args()
    options.RULE_SETS.extend(arguments.rules)
    options.LOAD_SECONDS.extend(arguments.seconds)
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    print_machine()
    failed = 0
    for name in arguments.names or names:
        bench = importlib.import_module(f"tests.bench.bench_{name}")
        try:
            print_table(bench.TITLE, bench.run(quick=arguments.quick))
        except (AssertionError, OSError) as error:
            # One bench that cannot run here must not hide the figures of the others.
            failed += 1
            print(f"\n{bench.TITLE}\n  failed: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
