"""Lanner's Grafana dashboards as code: `python -m dashboards.source DIRECTORY` writes the JSON.

One module a dashboard; `panels` makes panels, `frame` what is around them, `queries` the PromQL
that more than one panel needs.
"""
