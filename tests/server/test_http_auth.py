"""Who may ask: users, tokens, certificates, and who may have the rules loaded again."""

import json
import ssl
from pathlib import Path

import pytest

from exporter.errors import ServerError
from exporter.server.auth import BearerToken
from exporter.server.web_settings import WebSettings
from tests.server.certificates import Authority, Pair
from tests.server.web import Web, basic, hashed


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Signs certificates of servers and clients."""
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def server_pair(authority):
    """The server's certificate."""
    return authority.sign("server")


def client_context(authority: Authority, client: Pair | None = None) -> ssl.SSLContext:
    """TLS of a client, with a certificate if it has one."""
    context = ssl.create_default_context(cafile=str(authority.pair.cert))
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    return context


def web_file(tmp_path: Path, **sections: object) -> Path:
    """A web configuration; JSON is YAML."""
    file = tmp_path / "web.yml"
    file.write_text(json.dumps(sections))
    return file


def test_basic_authentication(loop_thread, tmp_path) -> None:
    """The right user and password get in; every other way in is closed, and counted."""
    file = web_file(
        tmp_path, basic_auth_users={"alice": hashed("right"), "bob": hashed("p:w" * 40)}
    )
    with Web(loop_thread, config=file) as web:
        good = [
            web.fetch(authorization=basic("alice", "right"))[0],
            web.fetch(authorization=basic("bob", "p:w" * 40))[0],
            web.fetch(authorization=basic("alice", "right"))[0],
        ]
        status, headers, _ = web.fetch()
        bad = [
            web.fetch(authorization=value)[0]
            for value in (
                basic("alice", "wrong"),
                basic("alice", "wrong"),
                basic("carol", "right"),
                basic("", ""),
                "Basic !!!",
                "Basic",
                "Bearer right",
                "Digest x",
            )
        ]

    assert good == [200, 200, 200]
    assert (status, headers["www-authenticate"]) == (401, 'Basic realm="lanner"')
    assert bad == [401] * 8
    assert web.rejected == {"unauthorized": 9}
    assert web.answers == {("/metrics", 200): 3, ("/metrics", 401): 9}


def test_a_bearer_token(loop_thread, tmp_path) -> None:
    """From a setting, or from a file that may be replaced."""
    file = tmp_path / "token"
    file.write_text("first\n")
    with Web(loop_thread, token_file=file) as web:
        before = [web.fetch(authorization=f"Bearer {t}")[0] for t in ("first", "second", "")]
        challenge = web.fetch()[1]["www-authenticate"]
        file.write_text("second-one")
        after = [web.fetch(authorization=f"bearer {t}")[0] for t in ("first", "second-one")]
        file.unlink()
        gone = web.fetch(authorization="Bearer second-one")[0]
    with Web(loop_thread, token="set") as web:
        setting = web.fetch(authorization="Bearer set")[0]

    assert (before, after, gone) == ([200, 401, 401], [401, 200], 200)
    assert (challenge, setting) == ("Bearer", 200)


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_token_file_without_a_token_is_refused_at_the_start(tmp_path, content) -> None:
    """Else a missing file would open the server to all."""
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ServerError, match="bearer token in "):
        BearerToken("", file)


def test_health_is_public_and_reload_never_is(loop_thread) -> None:
    """The kubelet has no password; whoever reloads must have one."""
    with Web(loop_thread, token="t") as web:
        public = [web.fetch(path)[0] for path in ("/healthz", "/readyz")]
        closed = [web.fetch(path)[0] for path in ("/metrics", "/versions", "/nothing", "//healthz")]
        reload = [
            web.fetch("/-/reload", "POST")[0],
            web.fetch("/-/reload", "PUT", authorization="Bearer t")[0],
        ]

    assert (public, closed, reload) == ([200, 200], [401] * 4, [401, 200])


def test_without_authentication_a_reload_comes_from_this_machine_and_no_browser(
    loop_thread,
) -> None:
    """Neither a web page that a browser here shows nor a proxy here lets others reach the rules."""
    with Web(loop_thread) as web:
        local = web.fetch("/-/reload", "POST")[0]
        page = web.fetch("/-/reload", "POST", origin="http://evil.example")
        other = web.fetch("/-/reload", "POST", sec_fetch_site="cross-site")[0]
        proxied = web.fetch("/-/reload", "POST", x_forwarded_for="127.0.0.1, 192.0.2.7")[0]

    assert (local, page[0], other, proxied) == (200, 403, 403, 403)
    assert b"from this machine only" in page[2]


def test_tls_and_headers(loop_thread, tmp_path, authority, server_pair) -> None:
    """Encrypted, with the configured headers on every answer; plain HTTP gets nothing."""
    file = web_file(
        tmp_path,
        tls_server_config={
            "cert_file": str(server_pair.cert),
            "key_file": str(server_pair.key),
            "min_version": "TLS13",
        },
        http_server_config={"headers": {"X-Frame-Options": "deny"}},
    )
    old = client_context(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with Web(loop_thread, config=file) as web:
        status, headers, body = web.fetch(tls=client_context(authority))
        missing = web.fetch("/nothing", tls=client_context(authority))
        plain = web.fetch()[0]
        too_old = web.fetch(tls=old)[0]

    assert (status, headers["x-frame-options"]) == (200, "deny")
    assert (missing[0], missing[1]["x-frame-options"]) == (404, "deny")
    assert b"lanner_build_info{" in body
    assert (plain, too_old) == (0, 0)
    assert web.answers == {("/metrics", 200): 1, ("other", 404): 1}


def test_certificates_may_stand_in_the_file(loop_thread, tmp_path, authority, server_pair) -> None:
    """Inline PEM instead of file names, a chosen cipher suite and curve."""
    file = web_file(
        tmp_path,
        tls_server_config={
            "cert": server_pair.cert.read_text(),
            "key": server_pair.key.read_text(),
            "max_version": "TLS12",
            "cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
            "curve_preferences": ["CurveP256"],
        },
    )
    other = client_context(authority)
    other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    other.maximum_version = ssl.TLSVersion.TLSv1_2
    with Web(loop_thread, config=file) as web:
        assert web.fetch(tls=client_context(authority))[0] == 200
        assert web.fetch(tls=other)[0] == 0


def test_clients_need_a_certificate_of_the_authority(
    loop_thread, tmp_path, authority, server_pair
) -> None:
    """Mutual TLS refuses clients without one, with one of strangers, and with another name."""
    stranger = Authority(tmp_path, "strangers").sign("stranger")
    section = {
        "cert_file": str(server_pair.cert),
        "key_file": str(server_pair.key),
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": str(authority.pair.cert),
        "client_allowed_sans": ["prometheus"],
    }
    file = web_file(tmp_path, tls_server_config=section)
    with Web(loop_thread, config=file) as web:
        right = client_context(authority, authority.sign("prometheus"))
        good = web.fetch(tls=right)[0], web.fetch("/-/reload", "POST", right)[0]
        bad = [
            web.fetch(tls=client_context(authority))[0],
            web.fetch(tls=client_context(authority, stranger))[0],
            web.fetch(tls=client_context(authority, authority.sign("somebody")))[0],
        ]

    assert (good, bad) == ((200, 200), [0, 0, 0])
    assert web.rejected == {"client_certificate": 1}


def test_a_certificate_may_be_offered_without_need(
    loop_thread, tmp_path, authority, server_pair
) -> None:
    """VerifyClientCertIfGiven takes clients without one, and refuses a wrong one."""
    stranger = Authority(tmp_path, "strangers").sign("stranger")
    file = web_file(
        tmp_path,
        tls_server_config={
            "cert_file": str(server_pair.cert),
            "key_file": str(server_pair.key),
            "client_auth_type": "VerifyClientCertIfGiven",
            "client_ca_file": str(authority.pair.cert),
        },
    )
    with Web(loop_thread, config=file) as web:
        without = web.fetch(tls=client_context(authority))[0]
        wrong = web.fetch(tls=client_context(authority, stranger))[0]

    assert (without, wrong) == (200, 0)


def test_changes_are_used_at_once_and_mistakes_are_not(
    loop_thread, tmp_path, authority, server_pair
) -> None:
    """A renewed certificate and a new user count from the next client on; a broken file never."""
    new_directory = tmp_path / "new"
    new_directory.mkdir()
    new = Authority(new_directory, "new")
    pair = new.sign("renewed")
    tls = {"cert_file": str(server_pair.cert), "key_file": str(server_pair.key)}
    file = web_file(tmp_path, tls_server_config=tls)
    with Web(loop_thread, config=file) as web:
        first = web.fetch(tls=client_context(authority))[0]
        file.write_text("tls_server_config: [")
        broken = web.fetch(tls=client_context(authority))[0]
        file.write_text("{}")
        unencrypted = web.fetch()[0]
        tls = {"cert_file": str(pair.cert), "key_file": str(pair.key)}
        web_file(tmp_path, tls_server_config=tls, basic_auth_users={"a": hashed("b")})
        renewed = web.fetch(tls=client_context(new), authorization=basic("a", "b"))[0]
        stranger = web.fetch(tls=client_context(new))[0]
        old = web.fetch(tls=client_context(authority))[0]

    assert (first, broken, unencrypted) == (200, 200, 0)
    assert (renewed, stranger, old) == (200, 401, 0)
    assert [error is None for error in web.reads] == [False, False, True]
    assert "TLS cannot be switched on or off" in str(web.reads[1])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"cert_file": "none.crt", "key_file": "none.key"}, "cannot use certificate .*none.crt"),
        ({"cert": "x", "key": "y"}, "cannot use certificate cert with key key"),
        ({"cipher_suites": ["TLS_FOO"]}, 'cipher_suites: "TLS_FOO" is unknown'),
        ({"curve_preferences": ["CurveP256", "X25519"]}, "curve_preferences: one of CurveP256"),
    ],
)
def test_tls_that_cannot_be_is_said_at_the_start(tmp_path, server_pair, section, message) -> None:
    """What is wrong with which file or key."""
    if "cert" not in section and "cert_file" not in section:
        section |= {"cert_file": str(server_pair.cert), "key_file": str(server_pair.key)}

    with pytest.raises(ServerError, match=message):
        WebSettings(web_file(tmp_path, tls_server_config=section))


def test_the_rate_of_requests_is_limited(loop_thread, tmp_path) -> None:
    """After the burst, 429 with a time to wait."""
    file = web_file(tmp_path, rate_limit={"interval": "1h", "burst": 3})
    with Web(loop_thread, config=file) as web:
        got = [web.fetch("/healthz") for _ in range(5)]

    assert [status for status, _, _ in got] == [200, 200, 200, 429, 429]
    assert got[-1][1]["retry-after"] == "1"
    assert web.rejected == {"rate": 2}
