"""Write every dashboard as JSON into the directory given."""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.source import fleet, health, investigation, overview, rules

BOARDS = {
    "overview": overview.build,
    "investigation": investigation.build,
    "rules": rules.build,
    "health": health.build,
    "fleet": fleet.build,
}


def main(directory: Path) -> None:
    """One file a dashboard, named as the end of its uid."""
    directory.mkdir(parents=True, exist_ok=True)
    encoder = JSONEncoder(sort_keys=True, indent=2)
    for name, build in BOARDS.items():
        (directory / f"{name}.json").write_text(encoder.encode(build().build()) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
