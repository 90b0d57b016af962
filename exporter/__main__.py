"""`python -m exporter` is `lanner`."""

from exporter.cli import main

main()
