"""Settings of metrics and servers, from the configuration to the rooms."""

from pathlib import Path

import pytest

from exporter.app.node_settings import counter_options, grpc_tls_of, http_options, registry_of
from exporter.config.load import load_config
from exporter.errors import ServerError
from exporter.metrics import families


def test_labels_of_a_family_are_chosen_in_its_own_order() -> None:
    """What cannot be left out is there whether it is named or not."""
    name = families.ALERTS.name
    config = load_config(
        None,
        [
            f"metrics.families.{name}.labels=[hostname, k8s_ns_name]",
            f"metrics.families.{name}.max_series=7",
        ],
    )
    family = registry_of(config).counter(families.ALERTS).family

    assert family.labels == ("rule", "priority", "source", "k8s_ns_name", "hostname")
    assert family.max_series == 7
    assert family.unbounded == {"k8s_ns_name"}


def test_metrics_are_set_as_configured() -> None:
    """Programs, namespaces and times."""
    options = counter_options(
        load_config(
            None,
            [
                "metrics.compat=[falco, falcosidekick]",
                "metrics.namespaces.deny=[kube-*]",
                "metrics.gone_grace=2m",
                "metrics.idle_expiry=1.5h",
                "static_fields.cluster=eu",
            ],
        )
    )

    assert options.programs == {"falco", "falcosidekick"}
    assert options.deny == ("kube-*",)
    assert (options.gone_seconds, options.idle_seconds) == (120.0, 5400.0)
    assert options.static_fields == {"cluster": "eu"}


def test_grpc_listens_on_tcp_only_when_told() -> None:
    """An address, and the names of three files."""
    config = load_config(None, ["grpc.listen=127.0.0.1:5060", "grpc.root_certs=/ca.pem"])
    tls = grpc_tls_of(config)

    assert grpc_tls_of(load_config(None)) is None
    assert tls is not None
    assert (str(tls.address), tls.root_certs) == ("127.0.0.1:5060", Path("/ca.pem"))


def test_secrets_are_checked_before_the_server_starts(tmp_path) -> None:
    """A token file that is missing is an error, not an open server; nor is a token ever shown."""
    missing = load_config(None, [f"http.bearer_token_file={tmp_path / 'none'}"])
    config = load_config(None, ["http.bearer_token=s3cret"])

    with pytest.raises(ServerError, match="cannot read the bearer token"):
        http_options(missing)
    assert http_options(config).token.is_right(b"s3cret")
    assert "s3cret" not in repr(config)
