"""YAML that is nested too deeply, told before it overflows the stack of the YAML library."""

from typing import cast

import yaml

MAX_DEPTH = 64
"""Collections inside collections; no configuration has nearly as many."""


def check_depth(text: str | bytes) -> None:
    """Raises MarkedYAMLError where a text is nested too deeply, YAMLError where it is no YAML."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise yaml.MarkedYAMLError(
                    problem="nested too deeply", problem_mark=cast("yaml.Mark", event.start_mark)
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
