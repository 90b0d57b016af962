"""Audit events in a running node: the inbox, its feeders and the web hook, as configured."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from starlette.routing import Route

from exporter.app.logs import Logger
from exporter.config.schema import Config
from exporter.errors import ConfigError
from exporter.events.host import Host
from exporter.metrics import families
from exporter.metrics.registry import Registry
from exporter.server.address import parse_address
from exporter.server.k8s_audit import AuditHook, Token, audit_route
from exporter.sources.k8s_audit.events import AuditOptions
from exporter.sources.k8s_audit.follow import LogFollower
from exporter.sources.k8s_audit.inbox import AuditInbox

_LOG_SECONDS = 10.0


def make_inbox(config: Config, hostname: bytes, log: Logger) -> AuditInbox | None:
    """The inbox, if audit events are wanted. Raises ConfigError."""
    section = config.k8s_audit
    if not section.enabled:
        return None
    if not section.path and not section.follow:
        raise ConfigError(
            "k8s_audit is enabled, but nothing sends events",
            code="C020",
            hint="set k8s_audit.path for the web hook, or k8s_audit.follow for a log file",
        )
    say = Occasionally(log)
    inbox = AuditInbox(
        Host(hostname=hostname),
        AuditOptions(
            max_event_bytes=section.max_event_size, max_document_bytes=section.max_batch_size
        ),
        queue_bytes=section.queue_size,
        on_problem=say,
    )
    if section.follow:
        inbox.feeders.append(
            LogFollower(
                section.follow,
                inbox.offer,
                max_line_bytes=section.max_batch_size,
                on_problem=say,
            )
        )
    return inbox


def audit_routes(
    config: Config,
    inbox: AuditInbox,
    registry: Registry,
    has_client_certificates: Callable[[], bool],
) -> list[Route]:
    """The web hook. Raises ConfigError when strangers could send, ServerError for a bad token.

    has_client_certificates: whether the HTTP server lets only clients with a certificate in, now.
    """
    section = config.k8s_audit
    registry.read(families.AUDIT_QUEUE, lambda: {(): inbox.waiting_bytes})
    if not section.path:
        return []
    text = section.token.get_secret_value()
    file = Path(section.token_file) if section.token_file else None
    if text and file:
        raise ConfigError(
            "k8s_audit.token and k8s_audit.token_file exclude each other", code="C021"
        )
    token = Token(text, file) if text or file else None
    address = parse_address(config.http.listen)

    def is_safe() -> bool:
        """Whether whoever gets here may send without a token."""
        return address.is_loopback or has_client_certificates()

    if token is None and not is_safe():
        raise ConfigError(
            f"the audit web hook would take events from anybody who reaches {address}",
            code="C022",
            hint="set k8s_audit.token_file, or client_auth_type RequireAndVerifyClientCert in"
            " http.web_config_file, or listen on loopback with http.listen=127.0.0.1:9376",
        )
    hook = AuditHook(
        path=section.path,
        max_bytes=section.max_batch_size,
        offer=inbox.offer,
        is_open=lambda: inbox.is_open,
        is_token=token.is_right if token else None,
        is_safe=is_safe,
        answers=registry.counter(families.AUDIT_REQUESTS),
    )
    return [audit_route(hook)]


class Occasionally:
    """Logs what is wrong with audit documents now and then: all of it is counted anyway."""

    def __init__(self, log: Logger, now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now = now
        self._next = 0.0
        self._silent = 0
        self._lock = threading.Lock()

    def __call__(self, sentence: str) -> None:
        """Log the sentence, or count it towards the next one that is logged."""
        with self._lock:
            now = self._now()
            if now < self._next:
                self._silent += 1
                return
            self._next = now + _LOG_SECONDS
            since, self._silent = self._silent, 0
        self._log.warning("problem with audit events", problem=sentence, more_since_last=since)
