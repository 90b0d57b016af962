"""Which rules are on: `rules:` of the configuration, in order (rule-language.md section 17).

Names are matched whole, with `*` standing for any text; tags exactly. A rule that a selection
turns on although its file (or an earlier entry) had it off goes to the end of the matching order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from exporter.rules.ruleset import Rule


@dataclass(frozen=True, slots=True)
class Selection:
    """One entry: turn on or off what the name pattern matches and what carries the tag."""

    enable: bool
    rule: str = ""
    tag: str = ""

    def selects(self, name: str, tags: Iterable[str]) -> bool:
        """Whether the entry is about this rule."""
        return bool(
            (self.rule and matches_wildcard(self.rule, name)) or (self.tag and self.tag in tags)
        )


def matches_wildcard(pattern: str, text: str) -> bool:
    """Whether the whole text matches; `*` stands for any text, nothing else is special.

    What stands between stars is looked for leftmost first and never again, as the reference does
    it: `*bar` does not match `barxbar`, because `bar` is found at the front.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    if not text.startswith(first):
        return False
    start = len(first)
    *_, last = rest
    for part in filter(None, rest):
        found = text.find(part, start)
        if found < 0:
            return False
        start = found + len(part)
    return not last or start == len(text)


def select(rules: Sequence[Rule], selections: Iterable[Selection]) -> tuple[Rule, ...]:
    """The rules with `is_enabled` settled; re-enabled ones moved to the end and renumbered.

    rules: in definition order. Gives them in matching order with `index` counting from 0.
    """
    order = {rule.name: position for position, rule in enumerate(rules)}
    enabled = {rule.name for rule in rules if rule.is_enabled}
    following = len(rules)
    for selection in selections:
        for rule in rules:
            if not selection.selects(rule.name, rule.tags):
                continue
            if not selection.enable:
                enabled.discard(rule.name)
            elif rule.name not in enabled:
                enabled.add(rule.name)
                order[rule.name] = following
                following += 1
    ranked = sorted(rules, key=lambda rule: order[rule.name])
    return tuple(
        replace(rule, index=index, is_enabled=rule.name in enabled)
        for index, rule in enumerate(ranked)
    )
