"""`lanner condition parse`: canonical form, AST, and errors with their place."""

import json

import pytest


def test_canonical_form_and_tree(lanner):
    """One line of canonical text, then the AST, one check a line."""
    text = "evt.type=open  and not(proc.name in (a,'b c') or shell)\n"
    status, out, err = lanner("condition", "parse", "-", text=text)

    assert (status, err) == (0, "")
    assert out.splitlines() == [
        '(evt.type = open and not (proc.name in (a, "b c") or shell))',
        "and",
        "  evt.type = open",
        "  not",
        "    or",
        '      proc.name in (a, "b c")',
        "      shell",
    ]


def test_json_holds_the_ast_with_places(lanner):
    """The JSON form has the canonical text and where each node began."""
    status, out, _ = lanner("condition", "parse", "--json", text="not a.b exists")

    assert status == 0
    assert json.loads(out) == {
        "successful": True,
        "canonical": "not a.b exists",
        "ast": {
            "type": "not",
            "child": {
                "type": "unary_check",
                "left": {"type": "field", "name": "a.b", "arg": None},
                "operator": "exists",
                "position": {"idx": 4, "line": 1, "column": 5},
            },
            "position": {"idx": 0, "line": 1, "column": 1},
        },
    }


def test_a_syntax_error_has_its_place(lanner):
    """Status 1, the message, and a caret below the place in the right line."""
    status, out, err = lanner("condition", "parse", text="evt.type = a and\n(b.c = ")

    assert (status, out) == (1, "")
    assert err.startswith("condition:2:")
    assert err.splitlines()[-2] == "  (b.c = "
    assert err.splitlines()[-1].strip() == "^"


def test_fields_are_checked_for_a_source(lanner):
    """With --source an unknown field is an error that names the nearest; without it is not."""
    text = "proc.nme = cat"

    assert lanner("condition", "parse", text=text)[0] == 0
    status, out, _ = lanner("condition", "parse", "--json", "--source", "syscall", text=text)
    error = json.loads(out)["error"]
    assert status == 1
    assert error["position"] == {"idx": 0, "line": 1, "column": 1}
    assert "'proc.name'" in error["hint"]


@pytest.mark.parametrize("command", [("condition", "parse"), ("format", "check")])
def test_a_file_that_cannot_be_read_is_one_sentence(lanner, command):
    """It can be opened, but reading it fails: that is said of the file."""
    status, out, err = lanner(*command, "/proc/self/mem")

    assert (status, out) == (1, "")
    assert err.startswith("error: cannot read /proc/self/mem: Input/output error\n")


def test_bytes_that_are_no_text_are_replaced(lanner):
    """Bytes that are no UTF-8 become U+FFFD, as in rules files."""
    status, out, _ = lanner("condition", "parse", "--json", text=b"proc.name = a\xff")

    assert status == 0
    assert json.loads(out)["canonical"] == "proc.name = a\ufffd"
