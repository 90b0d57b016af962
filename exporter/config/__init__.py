"""Configuration: lanner.yaml and the command line, to one typed object with all errors at once."""
