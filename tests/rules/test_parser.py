"""Parser of conditions: grammar, lexical rules, positions, limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rules.ast import And, Check, FieldRef, MacroRef, Not, Or, Position, Value, walk
from exporter.rules.operand_parser import ConditionSyntaxError
from exporter.rules.parser import parse_condition
from exporter.rules.printer import print_condition, to_json

ACCEPTED = [
    ("a.b=c", "a.b = c"),
    ("a.b==c", "a.b == c"),
    ("a.b != c", "a.b != c"),
    ("  a.b = c  ", "a.b = c"),
    ("a.b = c and not(x or y)", "(a.b = c and not (x or y))"),
    ("x or y and z", "(x or (y and z))"),
    ("(x or y) and z", "((x or y) and z)"),
    ("x and y and z", "(x and y and z)"),
    ("(x and y) and z", "((x and y) and z)"),
    ("((x))", "x"),
    ("not not x", "x"),
    ("not not not x", "not x"),
    ("not(not x)", "not not x"),
    ("not not(x)", "x"),
    ("x and(y or z)", "(x and (y or z))"),
    ("x or(y and z)", "(x or (y and z))"),
    ("notable and orchid or andes", "((notable and orchid) or andes)"),
    ("not", "not"),
    ("a.b = not", "a.b = not"),
    ("a.b exists", "a.b exists"),
    ("op.x existsand macro", "(op.x exists and macro)"),
    ("proc.name inx", "proc.name in x"),
    ("proc.name in(x)", "proc.name in (x)"),
    ("proc.name pmatch(/a)", "proc.name pmatch (/a)"),
    ("proc.name intersects (a,b)", "proc.name intersects (a, b)"),
    ("a.b in ()", "a.b in ()"),
    ("a.b in ( x , 'y z' )", 'a.b in (x, "y z")'),
    ("a.b in some_list", "a.b in some_list"),
    ("a.b in val(c.d)", "a.b in val(c.d)"),
    ("a.b contains /etc", "a.b contains /etc"),
    ("a.b contains\n/etc", "a.b contains /etc"),
    ("a.b glob *.[ch]", "a.b glob *.[ch]"),
    ("a.b regex .*x", "a.b regex .*x"),
    ("a.b bcontains 0aff", "a.b bcontains 0aff"),
    ("a.b < 1", "a.b < 1"),
    ("a.b <= -1", "a.b <= -1"),
    ("a.b > 0x1F", "a.b > 0x1F"),
    ("a.b >= 1.5e+3", "a.b >= 1.5e+3"),
    ("a.b > val( c.d )", "a.b > val(c.d)"),
    ("a.b > len(c.d)", "a.b > len(c.d)"),
    ("proc.name == oneof (cat, dog)", "proc.name == oneof (cat, dog)"),
    ("proc.name == oneof\tpets", "proc.name == oneof pets"),
    ("proc.name contains anyof android", "proc.name contains anyof android"),
    ("proc.name contains anyof and x", "(proc.name contains anyof and x)"),
    ("proc.name contains anyof not", None),
    ("proc.name = allof", "proc.name = allof"),
    ("proc.name =oneof", "proc.name = oneof"),
    ("proc.name != allof ()", "proc.name != allof ()"),
    ("tolower(proc.name) = val(proc.pname)", "tolower(proc.name) = val(proc.pname)"),
    ("a.b = tolower( basename( c.d ) )", "a.b = tolower(basename(c.d))"),
    ("join('-', (proc.name, \"x\", 3)) = y", "join(-,(proc.name,x,3)) = y"),
    ("len(()) = y", "len(()) = y"),
    ("concat(a.b, 5, 'x y') exists", 'concat(a.b,5,"x y") exists'),
    ("getopt(proc.args,'ab:')[b] = x", "getopt(proc.args,ab:)[b] = x"),
    ("proc.aname[2] = x", "proc.aname[2] = x"),
    ("proc.aname['a b'] = x", 'proc.aname["a b"] = x'),
    ('proc.aname[""] = x', 'proc.aname[""] = x'),
    ("container.mount.dest[/proc*] = x", "container.mount.dest[/proc*] = x"),
    ("a.b = 'it\\'s'", 'a.b = "it\'s"'),
    ('a.b = "say \\"x\\""', 'a.b = "say \\"x\\""'),
    ("a.b = 'a\\ b'", 'a.b = "a\\\\b"'),
    ("a.b = '\\x41\\x62'", "a.b = Ab"),
    ("a.b = 'a\\tb'", 'a.b = "a\\tb"'),
    ("a.b = c\\d", 'a.b = "c\\\\d"'),
    ("a.b = 'x=y'", 'a.b = "x=y"'),
    ("a.b = /*", "a.b = /*"),
    ("a.b = c:d", "a.b = c:d"),
    ("a.b=1and c.d=2", None),
    ("a.b > 1and c.d=2", "(a.b > 1 and c.d = 2)"),
    ("a.b = (x)", None),
    ("a.b in (x,)", None),
    ("a.b in (,x)", None),
    ("a.b in (x y)", None),
    ("> a", None),
    ("a.b > a", None),
    ("a.b > 'a'", None),
    ("a.b", None),
    ("a.b =", None),
    ("a.b containsx", None),
    ("a.b contains", None),
    ("proc.name == oneof(cat)", None),
    ("proc.name ==oneof (cat)", None),
    ("proc.name in oneof (cat)", None),
    ("a.b ONEOF (x)", None),
    ("a.b = c AND d", None),
    ("op existsand macro", None),
    ("x and", None),
    ("x and(y", None),
    ("(x", None),
    ("x)", None),
    ("x or(y and z)and w", None),
    ("x andy", None),
    ("a.1b = c", None),
    ("a..b = c", None),
    ("1a.b = c", None),
    ("a.b [2] = c", None),
    ("a.b[2 ] = c", None),
    ("a.b[] = c", None),
    ("val(a.b) = c", None),
    ("a.b = val(tolower(c.d))", None),
    ("a.b = val (c.d)", None),
    ("tolower (a.b) = c", None),
    ("tolower(val(a.b)) = c", None),
    ("tolower() = c", None),
    ("tolower(bare) = c", None),
    ("a.b in (tolower(c.d))", None),
    ('a.b = "a\\\\"', None),
    ("a.b = 'x", None),
    ("a.b = 'x\\q'", None),
    ("a.b = '\\\"'", None),
    ("a.b = '\\x4'", None),
    ("a.b = '\\xzz'", None),
    ("", None),
    (" ", None),
]


@pytest.mark.parametrize(("text", "canonical"), ACCEPTED, ids=[text for text, _ in ACCEPTED])
def test_every_text_has_its_canonical_form_or_is_refused(text, canonical):
    """Each condition prints as the reference prints it; None marks what the grammar refuses."""
    if canonical is None:
        with pytest.raises(ConditionSyntaxError):
            parse_condition(text)
    else:
        assert canonical == print_condition(parse_condition(text))


MESSAGES = [
    ("a.b=c d", "unexpected token after 'c', expecting 'or', 'and'", Position(6, 1, 7)),
    ("x\ny", "unexpected token after 'x', expecting 'or', 'and'", Position(2, 2, 1)),
    ("(x) y", "unexpected token after ')', expecting 'or', 'and'", Position(4, 1, 5)),
    ("x and\n  (y", "expected a ')' token", Position(10, 2, 5)),
    ("x and\r\n(y", "expected a ')' token", Position(9, 3, 3)),
    ("x andy", "expected blank or '(' after 'and'", Position(5, 1, 6)),
    ("a.b = 'x\\q'", "unsupported string escape sequence: \\q", Position(11, 1, 12)),
    ("a.b = '\\\"'", "invalid \\\" escape in '-quoted string", Position(10, 1, 11)),
    ('a.b = "\\\'"', "invalid \\' escape in \"-quoted string", Position(10, 1, 11)),
    ("a.b = '\\x4'", "truncated hex char escape sequence", Position(11, 1, 12)),
    ("a.b = '\\xg0'", "invalid hex char escape sequence: g0", Position(12, 1, 13)),
    ("", "filter input string is empty", Position(0, 1, 1)),
    ("a.b = é )", "unexpected token after 'é', expecting 'or', 'and'", Position(9, 1, 10)),
]


@pytest.mark.parametrize(("text", "message", "position"), MESSAGES, ids=[m[0] for m in MESSAGES])
def test_errors_say_what_and_where(text, message, position):
    """An error names the token and the place: bytes from 0, line and column from 1."""
    with pytest.raises(ConditionSyntaxError) as caught:
        parse_condition(text)

    assert (message, position) == (caught.value.message, caught.value.position)


def test_nodes_know_where_they_began():
    """Checks, fields and values carry the place of their first character."""
    node = parse_condition("a.b = c and\n not d.e in (x)")

    assert isinstance(node, And)
    first, second = node.children
    assert isinstance(first, Check)
    assert isinstance(second, Not)
    assert isinstance(second.child, Check)
    assert Position(6, 1, 7) == first.right.position
    assert Position(13, 2, 2) == second.position
    assert Position(17, 2, 6) == second.child.position
    assert Position(24, 2, 13) == second.child.right.position


@pytest.mark.parametrize(("limit", "pairs"), [(100, 18), (1000, 198)])
def test_depth_is_limited(limit, pairs):
    """Each pair of parentheses costs five productions; one pair too many is an error, no crash."""
    assert parse_condition("(" * pairs + "a.b=c" + ")" * pairs, limit) == parse_condition("a.b=c")
    with pytest.raises(ConditionSyntaxError, match=f"exceeded max depth limit of {limit}"):
        parse_condition("(" * (pairs + 1) + "a.b=c" + ")" * (pairs + 1), limit)


@pytest.mark.parametrize("text", ["(" * 100_000, "not(" * 5000, "tolower(" * 5000, "x and(" * 5000])
def test_hostile_nesting_is_an_error(text):
    """No nesting, however deep, overflows the stack, whatever limit the caller asks for."""
    for limit in (100, 1000, 10**9):
        with pytest.raises(ConditionSyntaxError):
            parse_condition(text, limit)


def test_bytes_that_are_no_utf8_survive():
    """A hex escape may make a byte that is no UTF-8; it is kept as a surrogate escape."""
    node = parse_condition("a.b = '\\xff\\xc3\\xa9'")

    assert isinstance(node, Check)
    assert Value("\udcffé") == node.right


def test_walk_visits_everything_once():
    """walk() gives each node before its children, in the order of the text."""
    node = parse_condition("x and not (y or z)")

    assert isinstance(node, And)
    inner = node.children[1]
    assert isinstance(inner, Not)
    assert [node, MacroRef("x"), inner, inner.child, MacroRef("y"), MacroRef("z")] == list(
        walk(node)
    )


def test_json_names_every_part():
    """The JSON form holds operator, both sides and the position."""
    expected = {
        "type": "binary_check",
        "left": {"type": "field", "name": "proc.aname", "arg": "2"},
        "operator": "contains anyof",
        "right": {"type": "list", "values": ["a", "b"]},
        "position": {"idx": 0, "line": 1, "column": 1},
    }

    assert expected == to_json(parse_condition("proc.aname[2] contains anyof (a, b)"))


_name = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(lambda s: s[:3] != "not")
_field = st.builds(
    FieldRef,
    st.builds("{}.{}".format, _name, _name),
    st.none() | st.from_regex(r"[a-z0-9/*]{1,5}", fullmatch=True),
)
_value = st.text(st.characters(exclude_characters="\0(),", exclude_categories=["Cs"]), min_size=1)
_plain = st.from_regex(r"[a-z0-9/*.-]{1,9}", fullmatch=True)
_words = st.one_of(_plain, _value.map(lambda text: text + " "))
_leaf = st.one_of(
    st.builds(MacroRef, _name),
    st.builds(
        Check, _field, st.sampled_from(["=", "==", "!=", "contains"]), st.builds(Value, _words)
    ),
)


def _nary(kind):
    return lambda inner: st.builds(kind, st.lists(inner, min_size=2, max_size=3).map(tuple))


_tree = st.recursive(
    _leaf,
    lambda inner: st.one_of(_nary(And)(inner), _nary(Or)(inner), st.builds(Not, inner)),
    max_leaves=8,
)


@settings(max_examples=60)
@given(_tree)
def test_parse_of_print_is_the_same_tree(tree):
    """parse(print(ast)) == ast for every tree whose values the canonical form can spell."""
    tree = parse_condition(print_condition(tree), 1000)  # Chained `not` cancel out once.

    assert tree == parse_condition(print_condition(tree), 1000)


@settings(max_examples=150)
@given(st.text(st.sampled_from("ab. =!<>()'\"\\,[]not in or and\n"), max_size=60))
def test_any_text_parses_or_is_refused(text):
    """Whatever the text, the parser gives a tree or a ConditionSyntaxError."""
    try:
        outcome = print_condition(parse_condition(text))
    except ConditionSyntaxError as error:
        outcome = error.message

    assert outcome
