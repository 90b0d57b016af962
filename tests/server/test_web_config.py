"""The web configuration file: what every exporter takes is taken, what means nothing is said."""

import pytest

from exporter.errors import ServerError
from exporter.server.web_config import read_web_config

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"


def read(tmp_path, text: str):
    """The file with this text."""
    file = tmp_path / "web.yml"
    file.write_text(text)
    return read_web_config(file)


def test_every_key_is_taken(tmp_path) -> None:
    """A file with all that makes sense together."""
    config = read(
        tmp_path,
        f"""
tls_server_config:
  cert_file: server.crt
  key_file: /abs/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256]
http_server_config:
  http2: false
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: ""
basic_auth_users:
  alice: {HASH}
rate_limit:
  interval: 100ms
  burst: 20
""",
    )

    assert config.tls is not None
    assert config.tls.cert_file == str(tmp_path / "server.crt")
    assert config.tls.key_file == "/abs/server.key"
    assert config.tls.client_allowed_sans == ("prometheus.example",)
    assert config.headers == {"X-Frame-Options": "deny"}
    assert config.users == {"alice": HASH.encode()}
    assert (config.interval_seconds, config.burst) == (pytest.approx(0.1), 20)


@pytest.mark.parametrize("text", ["", "{}", "tls_server_config: {}", "basic_auth_users:\n"])
def test_a_file_may_say_nothing(tmp_path, text) -> None:
    """Then there is neither TLS nor authentication, as with other exporters."""
    config = read(tmp_path, text)

    assert (config.tls, config.users) == (None, {})


CERT = "cert_file: a, key_file: b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "line 2: "),
        ("- x", "Expected `object`, got `array`"),
        ("tls_server_confg: {}", "unknown key `tls_server_confg`"),
        ("tls_server_config: {cert_fil: x}", "tls_server_config: unknown key `cert_fil`"),
        ("tls_server_config: {cert_file: a}", "needs cert_file and key_file, or cert and key"),
        ("tls_server_config: {cert_file: a, cert: b, key: c}", "needs cert_file and key_file"),
        (f"tls_server_config: {{{CERT}, min_version: SSL3}}", "min_version: Invalid enum value"),
        (
            f"tls_server_config: {{{CERT}, min_version: TLS13, max_version: TLS12}}",
            "min_version TLS13 is above TLS12",
        ),
        (
            f"tls_server_config: {{{CERT}, client_auth_type: RequireAndVerifyClientCert}}",
            "RequireAndVerifyClientCert needs client_ca_file",
        ),
        (f"tls_server_config: {{{CERT}, client_ca_file: x}}", "has no use for client_ca_file"),
        (
            f"tls_server_config: {{{CERT}, client_auth_type: RequireAnyClientCert}}",
            "would take certificates of anybody",
        ),
        (
            f"tls_server_config: {{{CERT}, client_allowed_sans: [a]}}",
            "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert",
        ),
        ("basic_auth_users: {bob: secret}", 'the password of "bob" is no bcrypt hash'),
        ("http_server_config: {headers: {X-Other: a}}", 'header "X-Other" cannot be set'),
        ("rate_limit: {interval: soon}", 'expected a duration such as 1s, not "soon"'),
        ("rate_limit: {interval: 1s, burst: -1}", "expected at least 0, not -1"),
        ("rate_limit: 2001-99-99", "a value that YAML does not know: month must be in 1..12"),
        ('tls_server_config: {cert_file: "a\\0b", key_file: b}', "no file can have the name"),
        ('http_server_config: {headers: {X-Frame-Options: "a\\nb"}}', "holds what no header can"),
        pytest.param("[" * 100_000, "line 1: nested too deeply", id="deep"),
    ],
)
def test_what_means_nothing_is_said(tmp_path, text, message) -> None:
    """One sentence that names the file and the key; never the password."""
    with pytest.raises(ServerError) as caught:
        read(tmp_path, text)

    assert message in str(caught.value)
    assert f"web configuration {tmp_path / 'web.yml'}: " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_said(tmp_path) -> None:
    """By its name."""
    with pytest.raises(ServerError, match="No such file"):
        read_web_config(tmp_path / "none.yml")
