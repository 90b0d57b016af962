"""The names that generated functions may call, beside readers and constants bound by number."""

from exporter.rules.operators import compare_values
from exporter.rules.transformers import b64, basename, concat, getopt, join, length, lower, upper

NAMESPACE = {
    "rt_b64": b64,
    "rt_basename": basename,
    "rt_compare": compare_values,
    "rt_concat": concat,
    "rt_getopt": getopt,
    "rt_join": join,
    "rt_len": length,
    "rt_tolower": lower,
    "rt_toupper": upper,
}
"""Global names of generated functions."""
