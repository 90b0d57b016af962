"""Lists: into each other and, as text, into conditions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rules.loader.items import ListItem
from exporter.rules.loader.results import Context
from exporter.rules.loader.substitution import ListTable


def table(**lists):
    """Lists of these items, in this order."""
    context = Context.of_file("f")
    return ListTable(
        {
            name: ListItem(name, items, context, place, place)
            for place, (name, items) in enumerate(lists.items())
        }
    )


SUBSTITUTED = [
    ("a in (l)", "a in ( x, y )"),
    ("l", "x, y "),
    ("(l)", "( x, y )"),
    ("a in (b,l,c)", "a in (b, x, y ,c)"),
    ("a in ( l )", "a in ( x, y )"),
    ("a=l", "a= x, y "),
    ("a = l and b", "a = x, y and b"),
    ("a='in l quotes'", "a='in x, y quotes'"),
    ("a='l'", "a='l'"),
    ("ll l.l l-l", "ll l.l l-l"),
    ("l l", "x, y l"),
    ("l,l", "x, y , x, y "),
]


@pytest.mark.parametrize(("text", "expected"), SUBSTITUTED)
def test_names_between_delimiters_are_replaced(text, expected):
    """A name counts where blanks, `(),=` or the ends of the text are on both sides."""
    assert expected == table(l=["x", "y"]).substitute(text)


def test_empty_items_at_the_front_leave_no_comma():
    """An item without text is text only behind others, as in the reference."""
    assert "a in ( x )" == table(l=["", "", "x"]).substitute("a in (l)")
    assert "a in ( x,  )" == table(l=["x", ""]).substitute("a in (l)")


EMPTIED = [
    ("a in (l)", "a in (  )"),
    ("a in (b, l)", "a in (b  )"),
    ("a in (l, b)", "a in (  b)"),
    ("a in (b, l, c)", "a in (b , c)"),
]


@pytest.mark.parametrize(("text", "expected"), EMPTIED)
def test_an_empty_list_takes_a_comma_along(text, expected):
    """Of the commas around an empty list the left one goes, else the right one."""
    found = table(l=[]).substitute(text)

    assert expected.split() == found.split()


def rules(condition):
    """A rule of this condition."""
    return f"\n- rule: r\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n"


LISTS = """
- list: inner
  items: [a, b c]
- list: middle
  items: [inner, d]
- list: outer
  items: [middle, e]
- list: one
  items: [x]
- list: none
  items: []
- list: quoted
  items: ["'p q'", '"r s"']
- list: with-dash
  items: [z]
"""
CONDITIONS = [
    ("a.b in (inner)", 'a.b in (a, "b c")'),
    ("a.b in (middle)", 'a.b in (a, "b c", d)'),
    ("a.b in (outer)", "a.b in (inner, d, e)"),
    ("a.b in (none)", "a.b in ()"),
    ("a.b in (none, k)", "a.b in (k)"),
    ("a.b in (k, none)", "a.b in (k)"),
    ("a.b in (quoted)", 'a.b in ("p q", "r s")'),
    ("a.b in (with-dash, inner)", 'a.b in (z, a, "b c")'),
    ("a.b=one", "a.b = x"),
    ("a.b in one", "a.b in x"),
    ("a.b in (undefined)", "a.b in (undefined)"),
    ("a.b in undefined", "a.b in undefined"),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_lists_in_conditions(compiled, condition, expected):
    """Nested lists expand one level with raw items; the third level stays a literal."""
    assert {"r": expected} == compiled(LISTS + rules(condition))


def test_a_later_list_expands_names_left_over(compiled):
    """A name that survives one list is replaced when its own list comes later in the file."""
    text = "- list: outer\n  items: [inner, e]\n- list: inner\n  items: [a, b]\n"

    assert compiled(text + rules("x.y in (outer)")) == {"r": "x.y in (a, b, e)"}


def test_appending_lets_a_list_see_later_lists(compiled):
    """Visibility counts from the latest append: the earlier list then sees the later one."""
    text = """
- list: outer
  items: [inner]
- list: inner
  items: [a]
- list: outer
  items: [e]
  override: {items: append}
"""
    assert compiled(text + rules("x.y in (outer)")) == {"r": "x.y in (a, e)"}


def test_several_items_without_parentheses_are_an_error(outcome):
    """`in my_list` works for one item only."""
    found = outcome(LISTS + rules("a.b in inner"))

    assert found is not None
    assert found[0] == "LOAD_ERR_COMPILE_CONDITION"


def test_unused_lists_are_told(load):
    """A list is used when a condition or a list that sees it names it."""
    found = load(LISTS + rules("a.b in (outer)")).results[0].warnings
    named = [
        warning.context.locations[-1].item_name for warning in found if "UNUSED" in warning.code
    ]

    assert named == ["one", "none", "quoted", "with-dash"]


def test_list_bombs_are_refused(outcome):
    """Lists that multiply each other are stopped before they fill the memory."""
    text = "".join(
        f"- list: l{number}\n  items: [{', '.join([f'l{number + 1}'] * 20)}]\n"
        for number in range(12)
    )
    found = outcome(text + rules("a.b in (l0)"))

    assert found == ("LOAD_ERR_VALIDATE", "lists make the condition unreasonably long")


def test_a_list_that_names_itself_ends(compiled):
    """Its own name among the items stays a literal."""
    text = "- list: l\n  items: [l, x]\n" + rules("a.b in (l)")

    assert compiled(text) == {"r": "a.b in (l, x)"}


def naive(text, name, items):
    """The same substitution as the reference describes it: one replacement at a time."""
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        delimiters = " \t\n\r(),="
        if (start == 0 or text[start - 1] in delimiters) and (
            end >= len(text) or text[end] in delimiters
        ):
            while start > 0 and text[start - 1] in " \t\n\r":
                start -= 1
            while end < len(text) and text[end] in " \t\n\r":
                end += 1
            if not items:
                if start > 0 and text[start - 1] == ",":
                    start -= 1
                elif end < len(text) and text[end] == ",":
                    end += 1
            head = text[:start] + " " if start > 0 else ""
            text = head + items + " " + text[end:]
            start += len(items) + 1
        start = text.find(name, start + 1)
    return text


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(["l", "k", ",", " ", "(", ")", "=", "\n", "'"]), max_size=14),
    st.sampled_from(["", "x", "x, y", "l", "k, l"]),
)
def test_one_pass_gives_what_one_at_a_time_gives(parts, items):
    """The linear substitution equals the quadratic one on every text."""
    text = "".join(parts)

    assert naive(text, "l", items) == table(l=items.split(", ") if items else []).substitute(text)


def test_many_lists_and_rules_load_in_no_time(load):
    """What a condition does not name costs it nothing."""
    text = "".join(f"- list: l{n}\n  items: [x{n}]\n" for n in range(3000))
    text += "".join(f"- macro: m{n}\n  condition: a.b in (l{n})\n" for n in range(3000))
    result = load(text).results[0]

    assert result.successful
    assert len(result.warnings) == 3000


@pytest.mark.parametrize("name", ["a b", "a,b", "(a)", "a=b"])
def test_odd_names_are_replaced_too(name):
    """A list whose name holds delimiters is found all the same."""
    assert table(**{name: ["x"]}).substitute(f"p.q in ({name})") == "p.q in ( x )"
