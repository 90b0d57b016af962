"""Lanner: runtime security for Kubernetes in one process.

The rooms of this package follow the data's path; each may import those before it, never those after
(kept by import-linter, see pyproject.toml):

    errors, metrics -> events -> sources -> state -> rules -> pushdown -> alerts -> outputs ->
    server -> config -> app -> cli
"""

__version__ = "0.1.0"
