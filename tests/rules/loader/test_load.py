"""Loading as a whole: files in order, options, robustness."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.rules.loader import (
    AppendOutput,
    LoadResult,
    NoChecks,
    RuleOptions,
    RulesSource,
    load_rules,
)
from exporter.rules.loader.checks import CheckError
from exporter.rules.priority import Priority
from exporter.rules.ruleset import ExtraField
from exporter.rules.selection import Selection

RULE = """
- rule: {name}
  desc: d
  condition: evt.type=open
  output: "out"
  priority: {priority}
  tags: [t, u]
"""


def rule(name="r", priority="INFO", more=""):
    """A rule of this name."""
    return RULE.format(name=name, priority=priority) + more


def options(**changes):
    """Options without extra output unless given."""
    return RuleOptions(**{"append_output": (), **changes})


def test_priority_leaves_out_less_severe_rules(load):
    """Rules less severe than the limit do not take part, but they are still checked."""
    text = "".join(rule(str(priority), str(priority)) for priority in Priority)
    kept = load(text, options=options(priority=Priority.ERROR)).ruleset.rules

    assert [found.name for found in kept] == ["Emergency", "Alert", "Critical", "Error"]


def test_selections_are_applied(load):
    """`rules:` of the configuration decides over `enabled:` of the file."""
    text = rule("a") + rule("b", more="  enabled: false\n")
    chosen = options(selections=(Selection(False, rule="a"), Selection(True, tag="t")))

    names = [found.name for found in load(text, options=chosen).ruleset.rules if found.is_enabled]

    assert names == ["a", "b"]


def test_match_all_and_digests_are_handed_on(load):
    """The rule set knows the matching strategy and the digest of each file."""
    text = rule()
    ruleset = load(text, options=options(match_all=True)).ruleset

    assert ruleset.match_all
    assert ruleset.sha256 == {"a.yaml": hashlib.sha256(text.encode()).hexdigest()}


APPENDED = [
    ((), "out"),
    ((AppendOutput(extra_output="x=%a.b"),), "out x=%a.b"),
    ((AppendOutput(extra_output="x"), AppendOutput(extra_output="y")), "out x y"),
    ((AppendOutput(source="syscall", extra_output="x"),), "out x"),
    ((AppendOutput(source="k8s_audit", extra_output="x"),), "out"),
    ((AppendOutput(rule="r", extra_output="x"),), "out x"),
    ((AppendOutput(rule="r*", extra_output="x"),), "out"),
    ((AppendOutput(tags=frozenset("t"), extra_output="x"),), "out x"),
    ((AppendOutput(tags=frozenset("tv"), extra_output="x"),), "out"),
    (
        (AppendOutput(suggested_output=True),),
        (
            "out container_id=%container.id container_name=%container.name "
            "container_image_repository=%container.image.repository "
            "container_image_tag=%container.image.tag k8s_pod_name=%k8s.pod.name "
            "k8s_ns_name=%k8s.ns.name"
        ),
    ),
]


@pytest.mark.parametrize(("entries", "output"), APPENDED)
def test_append_output_extends_outputs(load, entries, output):
    """Each matching entry adds its text behind a blank, in the order of the configuration."""
    (found,) = load(rule(), options=options(append_output=entries)).ruleset.rules

    assert output == found.output


def test_extra_fields_are_collected_by_name(load):
    """A later entry of the same key wins."""
    entries = (
        AppendOutput(extra_fields=(ExtraField("a.b"), ExtraField("k", "%a.b"))),
        AppendOutput(extra_fields=(ExtraField("k", "%c.d"),)),
    )
    (found,) = load(rule(), options=options(append_output=entries)).ruleset.rules

    assert found.extra_fields == (ExtraField("a.b"), ExtraField("k", "%c.d"))


def test_container_info_is_taken_out(load):
    """The old placeholder is deleted with a warning."""
    report = load(rule().replace('"out"', '"out %container.info!"'))

    assert report.ruleset.rules[0].output == "out !"
    assert [str(found.code) for found in report.results[0].warnings] == ["LOAD_DEPRECATED_ITEM"]


class Failing(NoChecks):
    """Refuses one condition and one output with given words."""

    def __init__(self, message):
        self.message = message

    def condition(self, node, source):
        """Every condition is wrong."""
        del source
        raise CheckError(self.message, node.position)


@pytest.mark.parametrize(
    ("message", "skips"),
    [
        ("filter_check called with nonexistent field a.b", True),
        ("unknown event type foo", True),
        ("unknown filter: a.b", True),
        ("invalid formatting token a.b", True),
        ("'=' operator not supported for type 'UID'", False),
    ],
)
def test_unknown_filters_can_be_skipped(load, message, skips):
    """With `skip-if-unknown-filter` a rule with unknown names is left out with a warning."""
    skip = rule(more="  skip-if-unknown-filter: true\n")
    report = load(skip, checks=Failing(message))

    assert skips == report.successful
    if skips:
        assert [str(found.code) for found in report.results[0].warnings] == ["LOAD_UNKNOWN_FILTER"]
        assert len(report.ruleset.rules) == 0
    else:
        assert [str(found.code) for found in report.results[0].errors] == [
            "LOAD_ERR_COMPILE_CONDITION"
        ]
    assert not load(rule(), checks=Failing(message)).successful


PLUGINS = {"container": "0.4.1", "json": "0.7.0"}
REQUIRED = [
    ("{name: container, version: 0.4.0}", True),
    ("{name: container, version: 0.4.1}", True),
    ("{name: container, version: 0.5.0}", False),
    ("{name: container, version: 1.0.0}", False),
    ("{name: other, version: 0.1.0}", False),
    ("{name: other, version: 0.1.0, alternatives: [{name: json, version: 0.6.0}]}", True),
    (
        "{name: container, version: 0.9.0, alternatives: [{name: json, version: 0.6.0}]}",
        False,
    ),
]


@pytest.mark.parametrize(("entry", "met"), REQUIRED)
def test_plugin_requirements(load, entry, met):
    """The first alternative that is loaded decides: same major, not older."""
    text = f"- required_plugin_versions: [{entry}]\n"
    report = load(text, options=options(plugins=PLUGINS))

    assert met == report.successful
    assert report.results[0].successful


def test_unreadable_files_are_reported():
    """A file that could not be read is LOAD_ERR_FILE_READ; the others are read all the same."""
    report = load_rules(
        [RulesSource("gone.yaml", FileNotFoundError(2, "No such file")), RulesSource("b", rule())],
        options(),
        NoChecks(),
    )

    assert [result.successful for result in report.results] == [False, True]
    assert report.results[0].errors[0].code == "LOAD_ERR_FILE_READ"


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b""])
def test_bytes_are_decoded(prefix):
    """A byte order mark is skipped; bytes that are no UTF-8 become replacement characters."""
    raw = prefix + rule().replace("desc: d", "desc: \u00e9").encode() + b"# \xff\n"
    report = load_rules([RulesSource("a", raw)], options(), NoChecks())

    assert report.successful
    assert report.ruleset.rules[0].desc == "\u00e9"


def test_summary_and_headline_without_name():
    """A nameless result has no prefix."""
    assert LoadResult("").summary() == "Ok"


def test_alias_bombs_are_refused(outcome):
    """Aliases count as what they stand for."""
    text = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    found = outcome(text)

    assert found is not None
    assert found[0] == "LOAD_ERR_YAML_PARSE"
    assert "after expanding aliases" in found[1]


@pytest.mark.parametrize(
    "text", ["&a [*a]", "- &a {b: *a}", "[" * 600, "- " * 600 + "x", "{a: " * 600 + "x" + "}" * 600]
)
def test_loops_and_depth_are_refused(outcome, text):
    """Recursive aliases and hostile nesting are errors, no crash."""
    found = outcome(text)

    assert found is not None
    assert found[0] == "LOAD_ERR_YAML_PARSE"


_KEYS = (
    "rule list macro items condition output desc priority source enabled tags exceptions append "
    "override name fields comps values required_engine_version required_plugin_versions version"
)
_SCALARS = "INFO a.b=c m l a.b~in~(l) [] {} ~ true replace &x *x 0.1.0 26"
_words = st.sampled_from([*_KEYS.split(), *_SCALARS.split()])
_node = st.recursive(
    _words,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(_words, inner, max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{k}: {v}" for k, v in pairs.items()) + "}"
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_node, max_size=5), st.booleans())
def test_any_yaml_gives_a_report(nodes, has_checks):
    """Whatever the items, loading gives a report with known codes, and its text forms."""
    text = "\n".join(f"- {node.replace('~', ' ')}" for node in nodes)
    report = load_rules([RulesSource("a", text)], options(), None if has_checks else NoChecks())

    assert report.successful is not bool(report.results[0].errors) or report.plugin_errors
    assert report.verbose().startswith("a: ")
    assert report.to_json()["falco_load_results"][0]["name"] == "a"


@settings(max_examples=100)
@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_text_gives_a_report(content):
    """Whatever the bytes, loading gives a report."""
    report = load_rules([RulesSource("a", content)], options(), NoChecks())

    assert report.summary().startswith("a: ")


@settings(max_examples=80)
@given(st.text(st.sampled_from("ab.=<>()'\"\\,[]ml notidrex \n"), min_size=1, max_size=50))
def test_any_condition_gives_a_report(condition):
    """Whatever a condition says, loading gives a report."""
    import json as quoting

    text = (
        "- list: l\n  items: [a, b]\n- macro: m\n  condition: evt.type=open\n"
        "- rule: r\n  desc: d\n  output: o\n  priority: INFO\n"
        f"  condition: {quoting.dumps(condition)}\n"
    )
    report = load_rules([RulesSource("a", text)], options())

    assert report.verbose().startswith("a: ")
