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
    """Exactly the four capabilities, a read-only root, no way to gain more; a token only on demand.

    The service account itself never has one, and without the API nothing of RBAC is made.
    """
    pod = only(render(name), "DaemonSet")["spec"]["template"]["spec"]
    context = container(name)["securityContext"]

    assert context["capabilities"] == {"drop": ["ALL"], "add": CAPABILITIES}
    assert (context["privileged"], context["allowPrivilegeEscalation"]) == (False, False)
    assert context["readOnlyRootFilesystem"] is True
    has_api = name == "everything"
    objects = render(name)
    assert pod["automountServiceAccountToken"] is has_api
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert any(item["kind"] == "ClusterRole" for item in objects) is has_api


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

    ports = {port["name"]: port["containerPort"] for port in container(name)["ports"]}
    assert config.http.listen == f":{ports['metrics']}"
    assert config.grpc.listen == (f":{ports['grpc']}" if name == "everything" else "")
    assert bool(config.grpc.socket) == (name != "minimal")
    assert config.containers.enabled == (name != "minimal")
    assert config.containers.kubernetes.enabled == (name == "everything")


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
        ("grpc.tls.port=70000", "grpc/tls/port"),
        ("k8sAudit.enabled=true", "k8sAudit.tokenSecret"),
        ("grpc.tls.enabled=true", "grpc.tls.existingSecret"),
        ("web.tls=true", "web.existingSecret"),
        ("web.existingSecret=s,web.clientCertificates=true", "web.tls"),
    ],
)
def test_wrong_values_are_refused(setting: str, said: str) -> None:
    """A misspelt, mistyped or lonely value is an error that names what is wrong or missing."""
    assert said in helm("template", "r", str(CHART), "--set", setting, is_refused=True)


def test_selectors_find_the_pods() -> None:
    """Service, ServiceMonitor and NetworkPolicy select the labels that pods and Service have."""
    objects = render("everything")
    pod_labels = only(objects, "DaemonSet")["spec"]["template"]["metadata"]["labels"].items()
    service, audit = (item for item in objects if item["kind"] == "Service")

    assert service["spec"]["selector"].items() <= pod_labels
    assert only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"].items() <= (
        pod_labels
    )
    assert only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items() <= (
        service["metadata"]["labels"].items()
    )
    # The web hook's address is one of all pods, and none of Prometheus' targets.
    assert audit["spec"]["selector"] == service["spec"]["selector"]
    assert "clusterIP" not in audit["spec"] or audit["spec"]["clusterIP"] != "None"
    (wanted,) = only(objects, "ServiceMonitor")["spec"]["selector"]["matchExpressions"]
    assert wanted == {"key": "app.kubernetes.io/component", "operator": "DoesNotExist"}
    assert wanted["key"] in audit["metadata"]["labels"]
    assert wanted["key"] not in service["metadata"]["labels"]


def test_what_lanner_reads_is_mounted(tmp_path: Path) -> None:
    """Every file of a secret that the configuration names lies in a mounted directory."""
    text = next(i for i in render("everything") if i["kind"] == "ConfigMap")["data"]["lanner.yaml"]
    (tmp_path / "lanner.yaml").write_text(text)
    config = load_config(tmp_path / "lanner.yaml", ())
    mounts = {mount["mountPath"] for mount in container("everything")["volumeMounts"]}
    files = (
        config.http.web_config_file, config.http.bearer_token_file, config.k8s_audit.token_file,
        config.grpc.private_key, config.grpc.cert_chain, config.grpc.root_certs,
    )  # fmt: skip

    assert all(files)
    assert {str(Path(file).parent) for file in files} <= mounts


def test_the_host_is_where_lanner_looks_for_it() -> None:
    """HOST_ROOT is the directory below which /etc and the sockets of the node are mounted."""

    def host(*settings: str) -> tuple[str, set[str]]:
        found = container("default", *settings)
        roots = [entry["value"] for entry in found["env"] if entry["name"] == "HOST_ROOT"]
        mounts = {m["mountPath"] for m in found["volumeMounts"] if m["mountPath"] > "/host"}
        return "".join(roots), {path for path in mounts if path.startswith("/host/")}

    everything = host()
    assert everything[0] == "/host"
    assert {"/host/etc", "/host/run/containerd"} <= everything[1]
    assert host("--set", "containerRuntime.enabled=false") == ("/host", {"/host/etc"})
    assert host("--set", "containerRuntime.enabled=false,hostUsers=false") == ("", set())


@pytest.mark.parametrize(
    ("settings", "probe"),
    [
        ("web.tls=false", {"scheme": "HTTP"}),
        ("web.tls=true", {"scheme": "HTTPS"}),
        ("web.tls=true,web.clientCertificates=true", None),
    ],
)
def test_the_kubelet_asks_as_the_server_answers(
    settings: str, probe: dict[str, str] | None
) -> None:
    """Encrypted where the server is; by a bare connection where it wants a certificate to see."""
    found = container("default", "--set", f"web.existingSecret=s,{settings}")
    for name, path in (("startup", "healthz"), ("liveness", "healthz"), ("readiness", "readyz")):
        asked = found[f"{name}Probe"]
        if probe is None:
            assert asked["tcpSocket"] == {"port": "metrics"}
        else:
            assert asked["httpGet"] == {"path": f"/{path}", "port": "metrics", **probe}


def test_scrapes_follow_the_servers_settings() -> None:
    """https where there is TLS, and the token of the same secret."""
    settings = "serviceMonitor.enabled=true,web.existingSecret=s,web.tls=true,web.bearerTokenKey=t"
    (endpoint,) = only(render("default", "--set", settings), "ServiceMonitor")["spec"]["endpoints"]
    plain = only(render("default", "--set", "serviceMonitor.enabled=true"), "ServiceMonitor")

    assert endpoint["scheme"] == "https"
    assert endpoint["authorization"] == {"credentials": {"name": "s", "key": "t"}}
    assert plain["spec"]["endpoints"][0]["scheme"] == "http"
    assert "authorization" not in plain["spec"]["endpoints"][0]


def test_the_api_is_asked_for_pods_only() -> None:
    """RBAC has what the watch needs, bound to the pods' account."""
    objects = render("everything")
    role, binding = only(objects, "ClusterRole"), only(objects, "ClusterRoleBinding")

    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "namespace": "sec",
         "name": only(objects, "ServiceAccount")["metadata"]["name"]}
    ]  # fmt: skip


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
