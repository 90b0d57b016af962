"""The Helm chart, through the real helm: what it renders, and what it refuses."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.load import load_config

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "lanner"
HELM = Path(sys.executable).with_name("helm")
VALUES = {
    "default": (),
    "minimal": ("-f", str(CHART / "ci" / "minimal-values.yaml")),
    "everything": ("-f", str(CHART / "ci" / "everything-values.yaml")),
}
CAPABILITIES = ["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"]


def helm(*arguments: str, is_refused: bool = False) -> str:
    """Run helm; its output, or what it said when it refused."""
    done = subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False)

    assert is_refused == (done.returncode != 0), done.stdout + done.stderr
    return done.stderr if is_refused else done.stdout


def render(name: str = "default", *arguments: str) -> list[dict[str, Any]]:
    """The objects of one set of values."""
    text = helm("template", "r", str(CHART), "-n", "sec", *VALUES[name], *arguments)
    return [document for document in yaml.safe_load_all(text) if document]


def only(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The one object of a kind."""
    (found,) = (item for item in objects if item["kind"] == kind)
    return found


def container(name: str = "default", *arguments: str) -> dict[str, Any]:
    """Lanner's container of the DaemonSet."""
    pod = only(render(name, *arguments), "DaemonSet")["spec"]["template"]["spec"]
    (found,) = pod["containers"]
    return dict(found)


@pytest.mark.parametrize("name", VALUES)
def test_lint_is_strict_and_clean(name: str) -> None:
    """`helm lint --strict` has nothing to say about any of the three sets of values."""
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), *VALUES[name])


@pytest.mark.parametrize("name", VALUES)
def test_kubernetes_knows_every_key(name: str, tmp_path: Path) -> None:
    """The core objects are valid against Kubernetes' own schemas, strictly."""
    file = tmp_path / "objects.yaml"
    # Of the Prometheus operator's kinds Kubernetes itself has no schema.
    core = [item for item in render(name) if "monitoring.coreos.com" not in item["apiVersion"]]
    file.write_text(yaml.safe_dump_all(core))
    program = Path(sys.executable).with_name("kubernetes-validate")

    done = subprocess.run(
        [program, "--strict", "-k", "1.34", str(file)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", VALUES)
def test_nothing_is_privileged(name: str) -> None:
    """Exactly the four capabilities, a read-only root, no way to gain more, no API token."""
    pod = only(render(name), "DaemonSet")["spec"]["template"]["spec"]
    context = container(name)["securityContext"]

    assert context["capabilities"] == {"drop": ["ALL"], "add": CAPABILITIES}
    assert (context["privileged"], context["allowPrivilegeEscalation"]) == (False, False)
    assert context["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", VALUES)
def test_mounts_have_their_volumes_and_host_paths_are_read_only(name: str) -> None:
    """Every mount names a volume of the pod; of the host only the socket's directory is written."""
    volumes = {
        volume["name"]: volume
        for volume in only(render(name), "DaemonSet")["spec"]["template"]["spec"]["volumes"]
    }
    mounts = container(name)["volumeMounts"]
    writable_paths = [
        volumes[mount["name"]]["hostPath"]["path"]
        for mount in mounts
        if "hostPath" in volumes[mount["name"]] and not mount.get("readOnly")
    ]

    assert {mount["name"] for mount in mounts} == volumes.keys()
    assert writable_paths == ([] if name == "minimal" else ["/run/lanner"])


@pytest.mark.parametrize("name", VALUES)
def test_the_program_takes_the_configuration(name: str, tmp_path: Path) -> None:
    """lanner.yaml of the ConfigMap is what `lanner run` accepts, and its port is the probes'."""
    (config_map, *_) = (item for item in render(name) if item["kind"] == "ConfigMap")
    file = tmp_path / "lanner.yaml"
    file.write_text(config_map["data"]["lanner.yaml"])

    config = load_config(file, ())

    (port,) = container(name)["ports"]
    assert config.http.listen == f":{port['containerPort']}"
    assert bool(config.grpc.socket) == (name != "minimal")


def test_custom_rules_stand_beside_ours() -> None:
    """Rules of values and of named ConfigMaps are mounted, and loaded behind the default ones."""
    (config_map, *_) = (item for item in render("everything") if item["kind"] == "ConfigMap")
    config = yaml.safe_load(config_map["data"]["lanner.yaml"])
    mounts = {mount["mountPath"] for mount in container("everything")["volumeMounts"]}

    assert config["rules_files"] == ["default", "/etc/lanner/rules.d/00", "/etc/lanner/rules.d/01"]
    assert mounts >= set(config["rules_files"][1:])


def test_values_override_the_charts_own_configuration() -> None:
    """`config` wins over what the chart sets, key by key."""
    objects = render("default", "--set", "config.json_output=false,config.priority=error")
    (config_map, *_) = (item for item in objects if item["kind"] == "ConfigMap")
    config = yaml.safe_load(config_map["data"]["lanner.yaml"])

    assert (config["json_output"], config["priority"]) == (False, "error")
    assert config["http"]["listen"] == ":9376"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("servicemonitor.enabled=true", "servicemonitor"),
        ("service.port=0", "service/port"),
        ("image.pullPolicy=Sometimes", "image/pullPolicy"),
        ("dashboards.enabled=maybe", "dashboards/enabled"),
    ],
)
def test_wrong_values_are_refused(setting: str, said: str) -> None:
    """A misspelt or mistyped value is an error that names it."""
    assert said in helm("template", "r", str(CHART), "--set", setting, is_refused=True)


def test_selectors_find_the_pods() -> None:
    """Service, ServiceMonitor and NetworkPolicy select the labels that pods and Service have."""
    objects = render("everything")
    pod_labels = only(objects, "DaemonSet")["spec"]["template"]["metadata"]["labels"].items()
    service = only(objects, "Service")

    assert service["spec"]["selector"].items() <= pod_labels
    assert only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= (
        pod_labels
    )
    assert only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items() <= (
        service["metadata"]["labels"].items()
    )


def test_app_armor_is_said_the_way_the_cluster_knows() -> None:
    """A field since Kubernetes 1.30, an annotation before."""
    new = only(render("default", "--kube-version", "1.30.0"), "DaemonSet")
    old = only(render("default", "--kube-version", "1.29.0"), "DaemonSet")
    key = "container.apparmor.security.beta.kubernetes.io/lanner"

    assert key not in new["spec"]["template"]["metadata"]["annotations"]
    assert old["spec"]["template"]["metadata"]["annotations"][key] == "unconfined"
    (of_new,) = new["spec"]["template"]["spec"]["containers"]
    assert of_new["securityContext"]["appArmorProfile"] == {"type": "Unconfined"}


def test_alerts_link_to_where_the_runbooks_are() -> None:
    """Groups of all files are there, with links below the given address, and the user's own."""
    groups = only(render("everything"), "PrometheusRule")["spec"]["groups"]
    links = {
        rule["annotations"]["runbook_url"].partition("#")[0]
        for group in groups
        for rule in group["rules"]
        if "annotations" in rule
    }

    assert {group["name"] for group in groups} == {
        "lanner-security", "lanner-health", "lanner-recording", "team",
    }  # fmt: skip
    assert links == {"https://wiki.example.org/lanner"}
