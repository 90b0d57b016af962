"""Laws of audit fields: what each says of one pod creation, and when it is missing."""

import json

import pytest

from exporter.rules.fields.catalogue import fields_of, find_field
from tests.factories import NOW_NS, make_event

AUDIT = {
    "kind": "Event",
    "auditID": "a-1",
    "stage": "ResponseComplete",
    "requestURI": "/api/v1/namespaces/prod/pods?dryRun=All&x=%2Fy",
    "verb": "create",
    "user": {"username": "me", "groups": ["g1", "g2"]},
    "impersonatedUser": {"username": "other"},
    "userAgent": "kubectl",
    "sourceIPs": ["1.2.3.4"],
    "objectRef": {"resource": "pods", "namespace": "prod", "name": "web"},
    "responseStatus": {"code": 201, "reason": "Created"},
    "annotations": {"authorization.k8s.io/decision": "allow"},
    "responseObject": {"metadata": {"name": "web-1"}},
    "requestObject": {
        "data": {"k": "v"},
        "roleRef": {"name": "admin"},
        "rules": [
            {"verbs": ["get", "list"], "resources": ["pods"]},
            {"verbs": ["*"], "apiGroups": [""]},
        ],
        "subjects": [
            {"kind": "User", "name": "u"},
            {"kind": "ServiceAccount", "name": "sa", "namespace": "ns"},
        ],
        "spec": {
            "hostNetwork": True,
            "runAsUser": 7,
            "securityContext": {"runAsUser": 5, "supplementalGroups": [1, 2]},
            "containers": [
                {
                    "name": "one",
                    "image": "reg:5000/a/b:1",
                    "command": ["sh", "-c"],
                    "securityContext": {
                        "privileged": True,
                        "capabilities": {"add": ["SYS_ADMIN"]},
                    },
                    "ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}],
                },
                {"name": "two", "image": "c@sha256:d", "runAsUser": 9},
            ],
            "initContainers": [{"name": "init"}],
            "volumes": [
                {"name": "v", "hostPath": {"path": "/etc"}},
                {"name": "w", "flexVolume": {"driver": "d"}},
            ],
            "ports": [{"port": 1}],
        },
    },
}


def audit_event(document):
    """The event that carries a JSON document."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return make_event(
        "PPME_PLUGINEVENT_E", proc=None, source="k8s_audit", params={"event_data": data}
    )


def read(text, event):
    """The value of a field named as in a rule."""
    name, _, rest = text.partition("[")
    use = find_field(name, rest[:-1] if rest else None, "k8s_audit")
    assert use is not None, text
    return use.read(event)


VALUES = {
    "ka.auditid": b"a-1",
    "ka.stage": b"ResponseComplete",
    "ka.verb": b"create",
    "ka.user.name": b"me",
    "ka.user.groups": (b"g1", b"g2"),
    "ka.impuser.name": b"other",
    "ka.useragent": b"kubectl",
    "ka.sourceips": None,
    "ka.uri.param[dryRun]": b"All",
    "ka.uri.param[x]": b"/y",
    "ka.uri.param[none]": None,
    "ka.target.resource": b"pods",
    "ka.target.namespace": b"prod",
    "ka.target.subresource": None,
    "ka.target.pod.name": b"web-1",
    "ka.response.code": b"201",
    "ka.auth.decision": b"allow",
    "ka.auth.reason": None,
    "ka.req.configmap.obj": b'{"k":"v"}',
    "ka.req.binding.role": b"admin",
    "ka.req.binding.subjects.user_names": (b"u",),
    "ka.req.binding.subjects.serviceaccount_ns_names": (b"ns:sa",),
    "ka.req.binding.subjects.group_names": None,
    "ka.req.binding.subject.has_name[x]": b"true",
    "ka.req.role.rules.verbs": (b"get", b"list", b"*"),
    "ka.req.role.rules.verbs[1]": (b"*",),
    "ka.req.role.rules.verbs[2]": None,
    "ka.req.role.rules.apiGroups": (b"",),
    "ka.req.pod.host_network": b"true",
    "ka.req.pod.host_pid": None,
    "ka.req.pod.run_as_user": b"5",
    "ka.req.pod.supplemental_groups": (b"1", b"2"),
    "ka.req.pod.containers.name": (b"one", b"two"),
    "ka.req.pod.containers.image[0]": (b"reg:5000/a/b:1",),
    "ka.req.pod.containers.image.repository": (b"reg", b"c"),
    "ka.req.pod.containers.command": (b"sh -c",),
    "ka.req.pod.containers.args": None,
    "ka.req.pod.containers.privileged": (b"true",),
    "ka.req.pod.containers.host_port": (b"80", b"8081"),
    "ka.req.pod.containers.eff_run_as_user": (b"7", b"9"),
    "ka.req.pod.containers.eff_run_as_group": (b"0", b"0"),
    "ka.req.pod.containers.add_capabilities": (b'["SYS_ADMIN"]',),
    "ka.req.pod.initContainers.image": None,
    "ka.req.pod.initContainers.name": (b"init",),
    "ka.req.pod.ephemeralContainers.name": None,
    "ka.req.container.image": b"reg:5000/a/b:1",
    "ka.req.container.image.repository": b"reg",
    "ka.req.container.privileged": b"true",
    "ka.req.pod.volumes.hostpath": (b"/etc",),
    "ka.req.pod.volumes.volume_type": (b"hostPath", b"flexVolume"),
    "ka.req.pod.volumes.flexvolume_driver": (b"d",),
    "ka.req.volume.hostpath[/e*]": b"true",
    "ka.req.volume.hostpath[/usr]": b"false",
    "ka.req.service.ports": (b'[{"port":1}]',),
    "ka.resp.name": b"web-1",
    "jevt.value[/user/groups/1]": b"g2",
    "jevt.value[/user/groups/9]": None,
    "json.value[/annotations/authorization.k8s.io~1decision]": b"allow",
    "jevt.rawtime": b"%d" % NOW_NS,
    "evt.pluginname": b"k8saudit",
    "evt.source": b"k8s_audit",
}


@pytest.mark.parametrize("text", VALUES)
def test_fields_of_a_pod_creation(text):
    """Each field finds its part of the document."""
    assert VALUES[text] == read(text, audit_event(AUDIT))


@pytest.mark.parametrize(
    "document", [b"", b"no json", b"[1,2]", b"null", b'{"verb":"get"}', b"[" * 100_000]
)
def test_other_documents_have_no_audit_fields(document):
    """Without an auditID, and on anything that is no object, every audit field is missing."""
    event = audit_event(document)

    for name, field in fields_of("k8s_audit").items():
        if name.startswith("ka."):
            text = f"{name}[x]" if field.is_arg_required else name
            assert read(text, event) is None, name


@pytest.mark.parametrize("wrong", [5, "text", None, {}, [], [[]], [{"a": 1}]])
def test_wrong_shapes_never_raise(wrong):
    """Any value where an object or array is expected makes fields missing, never an error."""
    parts = ("requestObject", "user", "annotations", "objectRef", "responseStatus", "requestURI")
    for part in parts:
        event = audit_event({**AUDIT, part: wrong})
        for name, field in fields_of("k8s_audit").items():
            read(f"{name}[x]" if field.is_arg_required else name, event)
    spec = AUDIT["requestObject"]["spec"]  # type: ignore[index]
    for key in spec:
        request = {**AUDIT["requestObject"], "spec": {**spec, key: wrong}}  # type: ignore[dict-item]
        event = audit_event({**AUDIT, "requestObject": request})
        for name, field in fields_of("k8s_audit").items():
            read(f"{name}[x]" if field.is_arg_required else name, event)
