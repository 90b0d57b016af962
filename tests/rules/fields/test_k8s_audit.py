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


def with_spec(**keys):
    """The pod creation with another pod spec."""
    return audit_event({**AUDIT, "requestObject": {"spec": keys}})


def with_containers(*containers, **keys):
    """The pod creation with other containers."""
    return with_spec(containers=list(containers), **keys)


def test_a_container_without_name_or_image_makes_those_fields_missing():
    """Names, images and repositories are all or nothing; what may be unset is skipped."""
    event = with_containers({"name": "a", "image": "x"}, {"securityContext": {"runAsUser": 0}})

    assert read("ka.req.pod.containers.name", event) is None
    assert read("ka.req.pod.containers.image", event) is None
    assert read("ka.req.pod.containers.image.repository", event) is None
    assert read("ka.req.pod.containers.image.repository[0]", event) == (b"x",)
    assert read("ka.req.pod.containers.image[1]", event) is None
    assert read("ka.req.pod.containers.image[2]", event) is None
    assert read("ka.req.pod.containers.run_as_user", event) == (b"0",)
    assert read("ka.req.pod.containers.run_as_user[0]", event) is None


def test_the_effective_user_of_one_container_is_only_what_it_says_itself():
    """Over all containers the pod's value stands in; one picked by index has it or is missing."""
    event = with_containers({"runAsUser": 3}, {}, runAsUser=4)

    assert read("ka.req.pod.containers.eff_run_as_user", event) == (b"3", b"4")
    assert read("ka.req.pod.containers.eff_run_as_user[0]", event) == (b"3",)
    assert read("ka.req.pod.containers.eff_run_as_user[1]", event) is None


def test_a_list_where_an_element_has_the_wrong_type():
    """Ports that are no array break the field; verbs that are no array are passed over."""
    event = with_containers({"ports": 80}, {"ports": [{"hostPort": 1}]})
    rules = {**AUDIT, "requestObject": {"rules": [{"verbs": "get"}, {"verbs": ["list", None, 5]}]}}

    assert read("ka.req.pod.containers.host_port", event) is None
    assert read("ka.req.pod.containers.host_port[1]", event) == (b"1",)
    assert read("ka.req.role.rules.verbs", audit_event(rules)) == (b"list", b"null", b"5")


def test_whether_a_path_of_the_host_is_mounted_needs_volumes_to_answer():
    """Without volumes the question is missing, with volumes of other kinds the answer is false."""
    field = "ka.req.volume.hostpath[/etc]"

    assert read(field, with_spec(containers=[])) is None
    assert read(field, with_spec(volumes=[{"name": "a", "emptyDir": {}}])) == b"false"
    assert read(field, with_spec(volumes=[{"hostPath": {"path": "/etc"}}])) == b"true"


def test_whether_any_container_is_privileged_asks_for_the_value_true():
    """Other values, and containers without it, are not privileged; no containers is missing."""
    field = "ka.req.container.privileged"

    assert read(field, with_containers({}, {"securityContext": {"privileged": 1}})) == b"false"
    assert read(field, with_containers({}, {"securityContext": {"privileged": True}})) == b"true"
    assert read(field, with_spec(volumes=[])) is None


def test_null_is_a_value_and_numbers_keep_their_text():
    """What the JSON says is what the field shows."""
    data = (
        b'{"auditID":"a","verb":null,"stage":1.50,"responseStatus":{"code":1e3,"reason":{"a":2.0}}}'
    )
    event = audit_event(data)

    assert read("ka.verb", event) == b"null"
    assert read("jevt.value[/verb]", event) == b"null"
    assert read("ka.stage", event) == b"1.50"
    assert read("ka.response.code", event) == b"1e3"
    assert read("ka.response.reason", event) == b'{"a":2.0}'


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/user/groups/0", b"g1"),
        ("user/groups/0", b"g1"),
        ("/user/groups/+1", b"g2"),
        ("/user/groups/-1", None),
        ("/user/groups", b'["g1","g2"]'),
        ("/user/groups/0/x", None),
        ("/", None),
        ("/responseStatus/code", b"201"),
    ],
)
def test_pointers(pointer, value):
    """The first slash may be left out; array elements are numbered from 0."""
    assert read(f"jevt.value[{pointer}]", audit_event(AUDIT)) == value


def test_the_whole_event_is_shown_indented():
    """Two blanks a level, order and text as they came."""
    event = audit_event('{"b":{},"a":[1,"\u00e9"]}'.encode())

    assert (
        read("jevt.obj", event).decode() == '{\n  "b": {},\n  "a": [\n    1,\n    "\u00e9"\n  ]\n}'
    )


@pytest.mark.parametrize(
    ("uri", "value"),
    [
        ("/p?a=1&a=2", b"1"),
        ("/p?b=1&%61=x+y%26", b"x y&"),
        ("/p?a", b""),
        ("/p?b=1#a=2", None),
        ("/p?a=1;b=2", None),
        ("/p?a=%zz", None),
        ("/p?a=1&b=%f", None),
        ("/%zz?a=1", None),
        ("/p?a=1\x01", None),
        ("//[?a=1", b"1"),
        ("", None),
    ],
)
def test_query_parameters(uri, value):
    """The first value, unescaped; a URI that is broken anywhere has no parameters."""
    assert read("ka.uri.param[a]", audit_event({**AUDIT, "requestURI": uri})) == value


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
