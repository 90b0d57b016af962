"""The web configuration file of Prometheus' exporters: TLS, basic authentication, headers, rate.

Takes the YAML file that every exporter takes as `--web.config.file`, gives a `WebConfig`. Unknown
keys are errors. Source: exporter-toolkit, "Web configuration".
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import yaml
from msgspec import Struct

from exporter.errors import ServerError
from exporter.server.yaml_depth import check_depth

_BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
HEADERS = (
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
)
"""Headers that the file may add to answers."""

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
ClientAuth = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]


class TlsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """`tls_server_config`. File names are relative to the file they stand in."""

    cert_file: str = ""
    key_file: str = ""
    cert: str = ""
    key: str = ""
    client_auth_type: ClientAuth = "NoClientCert"
    client_ca_file: str = ""
    client_ca: str = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()


class HttpServerSection(Struct, frozen=True, forbid_unknown_fields=True):
    """`http_server_config`. http2: taken and of no effect, clients fall back to HTTP/1.1."""

    http2: bool = True
    headers: dict[str, str] = {}


class RateLimitSection(Struct, frozen=True, forbid_unknown_fields=True):
    """`rate_limit`: a request each interval, and bursts of so many."""

    interval: str | int = 0
    burst: int = 0


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    tls_server_config: TlsSection | None = None
    http_server_config: HttpServerSection = HttpServerSection()
    basic_auth_users: dict[str, str] | None = None
    rate_limit: RateLimitSection = RateLimitSection()


class WebConfig(Struct, frozen=True, kw_only=True):
    """What the file says. users: name -> bcrypt hash. interval_seconds: 0 for no limit of rate."""

    tls: TlsSection | None = None
    users: Mapping[str, bytes] = {}
    headers: Mapping[str, str] = {}
    interval_seconds: float = 0.0
    burst: int = 0


def read_web_config(path: Path) -> WebConfig:
    """Read and check the file. Raises ServerError with one sentence that names the file."""
    try:
        text = path.read_bytes()
        check_depth(text)
        document = yaml.load(text, Loader=yaml.CSafeLoader)
        file = msgspec.convert({} if document is None else document, _File)
    except OSError as error:
        raise _error(path, error.strerror or "cannot be read") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark is not None else ""
        raise _error(path, f"{place}{getattr(error, 'problem', None) or 'no YAML'}") from error
    except msgspec.ValidationError as error:
        raise _error(path, _sentence(error)) from error
    except ValueError as error:  # such as a date that does not exist
        raise _error(path, f"a value that YAML does not know: {error}") from error
    headers = file.http_server_config.headers
    if unknown := set(headers) - set(HEADERS):
        raise _error(path, f'header "{min(unknown)}" cannot be set; {", ".join(HEADERS)} can')
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise _error(path, f'header "{name}" holds what no header can: {value!r}')
    users = file.basic_auth_users or {}
    for user, hashed in users.items():
        if _BCRYPT.fullmatch(hashed) is None:
            raise _error(path, f'the password of "{user}" is no bcrypt hash', _BCRYPT_HINT)
    if file.rate_limit.burst < 0:
        raise _error(path, f"rate_limit.burst: expected at least 0, not {file.rate_limit.burst}")
    tls = _checked_tls(path, file.tls_server_config)
    return WebConfig(
        tls=tls,
        users={user: hashed.encode("ascii") for user, hashed in users.items()},
        headers={name: value for name, value in headers.items() if value},
        interval_seconds=_seconds(path, file.rate_limit.interval),
        burst=file.rate_limit.burst,
    )


_BCRYPT_HINT = "htpasswd -nBC 10 '' makes one"


def _checked_tls(path: Path, tls: TlsSection | None) -> TlsSection | None:
    """The section with absolute file names; None where it says nothing."""
    if tls is None or tls == TlsSection():
        return None
    for name in (tls.cert_file, tls.key_file, tls.client_ca_file):
        if "\0" in name:
            raise _error(path, f"no file can have the name {name!r}")
    if bool(tls.cert) == bool(tls.cert_file) or bool(tls.key) == bool(tls.key_file):
        raise _error(path, "tls_server_config needs cert_file and key_file, or cert and key")
    if tls.client_ca and tls.client_ca_file:
        raise _error(path, "tls_server_config has both client_ca and client_ca_file")
    is_verified = tls.client_auth_type in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
    has_authority = bool(tls.client_ca or tls.client_ca_file)
    if tls.client_auth_type == "RequireAnyClientCert":
        # OpenSSL, as Python gives it, verifies every certificate that it asks for.
        raise _error(
            path,
            "client_auth_type RequireAnyClientCert would take certificates of anybody",
            "write RequireAndVerifyClientCert, with client_ca_file",
        )
    if is_verified != has_authority:
        problem = "needs" if is_verified else "has no use for"
        raise _error(path, f"client_auth_type {tls.client_auth_type} {problem} client_ca_file")
    if tls.client_allowed_sans and tls.client_auth_type != "RequireAndVerifyClientCert":
        raise _error(path, "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert")
    if tls.min_version > tls.max_version:
        raise _error(path, f"min_version {tls.min_version} is above {tls.max_version}")
    here = path.parent
    return msgspec.structs.replace(
        tls,
        cert_file=_absolute(here, tls.cert_file),
        key_file=_absolute(here, tls.key_file),
        client_ca_file=_absolute(here, tls.client_ca_file),
    )


def _absolute(directory: Path, name: str) -> str:
    return str(directory / name) if name else ""


def _seconds(path: Path, interval: str | int) -> float:
    if interval in (0, "0"):
        return 0.0
    match = _DURATION.fullmatch(str(interval))
    if match is None:
        raise _error(path, f'rate_limit.interval: expected a duration such as 1s, not "{interval}"')
    return float(match[1]) * _SECONDS[match[2]]


def _sentence(error: msgspec.ValidationError) -> str:
    """msgspec's message with the place first, as users know it."""
    text, _, place = str(error).partition(" - at `$")
    place = place.removesuffix("`").removeprefix(".")
    text = text.replace("Object contains unknown field", "unknown key")
    return f"{place}: {text}" if place else text


def _error(path: Path, problem: str, hint: str | None = None) -> ServerError:
    return ServerError(f"web configuration {path}: {problem}", code="S020", hint=hint)
