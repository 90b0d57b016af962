"""`lanner version`: who we are."""

import platform

import click
import msgspec

from exporter import __version__
from exporter.server.versions import Versions


@click.command()
@click.option("--json", "is_json", is_flag=True, help="As the JSON object of /versions.")
def version(*, is_json: bool) -> None:
    """Show the version of Lanner and of what it is compatible with."""
    versions = Versions()
    if is_json:
        click.echo(msgspec.json.encode(versions).decode())
        return
    click.echo(f"lanner {__version__}")
    click.echo(f"rules engine {versions.engine_version_semver}")
    click.echo(f"compatible with Falco {versions.falco_version}")
    click.echo(f"python {platform.python_version()}, kernel {platform.release()}")
