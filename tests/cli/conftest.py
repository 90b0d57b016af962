"""The command line in this process."""

import pytest
from click.testing import CliRunner

from exporter.cli import cli


@pytest.fixture
def lanner():
    """Call a command: status, standard output, standard error."""

    def call(*args: str, text: str | bytes = b"") -> tuple[int, str, str]:
        result = CliRunner().invoke(cli, list(args), input=text, prog_name="lanner")
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result.exit_code, result.stdout, result.stderr

    return call
