"""`lanner format check`: tokens, fields, canonical form, and errors with their place."""

import json


def test_tokens_and_fields(lanner):
    """Every token with its type; widths and the star stay in the canonical form."""
    text = "*a %10proc.name %proc.aname[2]|%tolower(fd.name)\n"
    status, out, err = lanner("format", "check", "-", text=text)

    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "*a %10proc.name %proc.aname[2]|%tolower(fd.name)",
        "  proc.name (CHARBUF, 10 characters)",
        "  proc.aname[2] (CHARBUF)",
        "  tolower(fd.name) (CHARBUF)",
    ]


def test_json_has_places_and_plain_fields(lanner):
    """Texts and tokens in order, fields once each, those inside transformers too."""
    status, out, _ = lanner("format", "check", "--json", text="x%tolower(fd.name)%fd.name")
    body = json.loads(out)

    assert status == 0
    assert body["successful"] is True
    assert body["fields"] == ["fd.name"]
    assert [token["type"] for token in body["tokens"]] == ["text", "transformer", "field"]
    assert (body["tokens"][1]["start"], body["tokens"][1]["end"]) == (1, 18)


def test_the_canonical_form_reads_back(lanner):
    """Arguments whose canonical spelling is ambiguous stay as they were written."""
    text = '%join(",",(proc.name,"x"))'
    _, out, _ = lanner("format", "check", text=text)
    first = out.splitlines()[0]

    assert lanner("format", "check", text=first)[1] == out


def test_errors_have_their_place(lanner):
    """Status 1 with line and column, as text and as JSON."""
    text = "first\nsecond %nope.x"
    status, out, err = lanner("format", "check", text=text)
    assert (status, out) == (1, "")
    assert err.startswith("format:2:8: error LOAD_ERR_COMPILE_OUTPUT")

    status, out, _ = lanner("format", "check", "--json", text=text)
    assert status == 1
    assert json.loads(out)["error"]["position"] == {"idx": 13, "line": 2, "column": 8}


def test_fields_are_those_of_the_source(lanner):
    """A field of system calls is unknown to audit events and the other way round."""
    assert lanner("format", "check", "--source", "k8s_audit", text="%ka.verb")[0] == 0
    assert lanner("format", "check", "--source", "k8s_audit", text="%proc.name")[0] == 1
    assert lanner("format", "check", text="%ka.verb")[0] == 1
