"""Warnings from the AST: unsafe <NA> comparisons and deprecated fields."""

import pytest

from exporter.rules.loader.ast_warnings import warn_condition, warn_output
from exporter.rules.loader.results import Context, LoadResult
from exporter.rules.parser import parse_condition

UNSAFE = "LOAD_UNSAFE_NA_CHECK"
DEPRECATED = "LOAD_DEPRECATED_ITEM"
CONDITIONS = [
    ("ka.verb = <NA>", [UNSAFE]),
    ("ka.verb == '<NA>'", [UNSAFE]),
    ("jevt.value[/x] != <NA>", [UNSAFE]),
    ("not ka.verb in (a, <NA>)", [UNSAFE]),
    ("ka.verb intersects (<NA>)", [UNSAFE]),
    ("ka.verb pmatch (<NA>)", [UNSAFE]),
    ("ka.verb = <NA> or ka.verb = <NA>", [UNSAFE, UNSAFE]),
    ("ka.verb contains <NA>", []),
    ("ka.verb = x", []),
    ("proc.name = <NA>", []),
    ("kafka.verb = <NA>", []),
    ("evt.dir = <", [DEPRECATED]),
    ("evt.latency > 1 and evt.latency.ns > 1", [DEPRECATED, DEPRECATED]),
    ("evt.wait_latency exists", [DEPRECATED]),
    ("tolower(evt.dir) = val(evt.dir)", [DEPRECATED, DEPRECATED]),
    ("join(',', (evt.latency.s, proc.pid)) = x", [DEPRECATED]),
    ("evt.direction = x", []),
]


@pytest.mark.parametrize(("condition", "codes"), CONDITIONS)
def test_conditions(condition, codes):
    """Every unsafe comparison and every use of a deprecated field is told once."""
    result = LoadResult("f")
    warn_condition(parse_condition(condition), Context.of_file("f"), result)

    assert codes == [str(found.code) for found in result.warnings]


OUTPUTS = [
    ("%evt.dir", ["evt.dir"]),
    ("evt.dir as text", ["evt.dir"]),
    ("%evt.latency.human", ["evt.latency", "evt.latency.human"]),
    ("%evt.time", []),
]


@pytest.mark.parametrize(("template", "fields"), OUTPUTS)
def test_outputs(template, fields):
    """Outputs are searched as text, so a longer name counts as the shorter one too."""
    result = LoadResult("f")
    warn_output(template, Context.of_file("f"), result)

    assert fields == [found.deprecated_field for found in result.warnings]
