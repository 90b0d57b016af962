"""Fields of Kubernetes audit events (source k8s_audit).

Source: fields catalogue class "k8s_audit"; state-tracking.md section 13.
"""

from collections.abc import Callable, Mapping
from typing import Any

from exporter.rules.fields.audit_readers import (
    CONTEXT,
    COST,
    SPEC,
    VOLUMES,
    any_privileged,
    bind_has_name,
    bind_host_path,
    bind_uri_parameter,
    elements,
    first_image,
    first_repository,
    listed,
    of_rules,
    ports,
    scalar,
    subjects,
    target_pod,
    volume_types,
    where_set,
)
from exporter.rules.fields.field import Arg, ArgKind, Field, FieldClass, Reader
from exporter.rules.fields.field import ValueType as T
from exporter.rules.fields.pod_containers import container_fields


def _annotation(name: str) -> Reader:
    return scalar("annotations", name)


def _field(name: str, desc: str, read: Reader) -> Field:
    return Field(f"ka.{name}", T.CHARBUF, desc, read, cost=COST)


def _list_field(
    name: str, desc: str, how: Mapping[str, Any], arg: ArgKind = ArgKind.INDEX
) -> Field:
    kept = dict(how) if arg is not ArgKind.NONE else {**how, "bind": None}
    return Field(f"ka.{name}", T.CHARBUF, desc, arg=arg, **kept)


def _keyed(name: str, desc: str, bind: Callable[[Arg], Reader]) -> Field:
    return Field(
        f"ka.{name}",
        T.CHARBUF,
        desc,
        bind=bind,
        arg=ArgKind.KEY,
        is_arg_required=True,
        cost=COST,
    )


_ONE = ArgKind.NONE

CLASS = FieldClass(
    "k8s_audit",
    "fields of Kubernetes audit events",
    ("k8s_audit",),
    (
        _field("auditid", "auditID", scalar("auditID")),
        _field("stage", "stage", scalar("stage")),
        _field(
            "auth.decision",
            "annotation authorization.k8s.io/decision",
            _annotation("authorization.k8s.io/decision"),
        ),
        _field(
            "auth.reason",
            "annotation authorization.k8s.io/reason",
            _annotation("authorization.k8s.io/reason"),
        ),
        _field(
            "auth.openshift.decision",
            "annotation authentication.openshift.io/decision",
            _annotation("authentication.openshift.io/decision"),
        ),
        _field(
            "auth.openshift.username",
            "annotation authentication.openshift.io/username",
            _annotation("authentication.openshift.io/username"),
        ),
        _field(
            "validations.admission.policy.failure",
            "annotation validation.policy.admission.k8s.io/validation_failure",
            _annotation("validation.policy.admission.k8s.io/validation_failure"),
        ),
        _field(
            "security.pod.violations",
            "annotation pod-security.kubernetes.io/audit-violations",
            _annotation("pod-security.kubernetes.io/audit-violations"),
        ),
        _field("user.name", "user.username", scalar("user", "username")),
        _list_field("user.groups", "user.groups", elements("user", "groups"), _ONE),
        _field(
            "impuser.name",
            "impersonatedUser.username",
            scalar("impersonatedUser", "username"),
        ),
        _field("verb", "verb", scalar("verb")),
        _field("uri", "requestURI", scalar("requestURI")),
        _keyed("uri.param", "first value of one query parameter of requestURI", bind_uri_parameter),
        _field("target.name", "objectRef.name", scalar("objectRef", "name")),
        _field("target.namespace", "objectRef.namespace", scalar("objectRef", "namespace")),
        _field("target.resource", "objectRef.resource", scalar("objectRef", "resource")),
        _field("target.subresource", "objectRef.subresource", scalar("objectRef", "subresource")),
        _field(
            "target.pod.name",
            "name of the pod that was made, if the target resource is pods itself",
            target_pod,
        ),
        _list_field(
            "req.binding.subjects",
            "requestObject.subjects, each as JSON text",
            elements("requestObject", "subjects"),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.user_names",
            "names of subjects of kind User",
            subjects("User"),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.serviceaccount_names",
            "names of subjects of kind ServiceAccount",
            subjects("ServiceAccount"),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.serviceaccount_ns_names",
            "namespace:name of subjects of kind ServiceAccount",
            subjects("ServiceAccount", with_namespace=True),
            _ONE,
        ),
        _list_field(
            "req.binding.subjects.group_names",
            "names of subjects of kind Group",
            subjects("Group"),
            _ONE,
        ),
        _keyed("req.binding.subject.has_name", "deprecated; always the text true", bind_has_name),
        _field(
            "req.binding.role",
            "requestObject.roleRef.name",
            scalar("requestObject", "roleRef", "name"),
        ),
        _field("req.configmap.name", "objectRef.name", scalar("objectRef", "name")),
        _field(
            "req.configmap.obj", "requestObject.data as JSON text", scalar("requestObject", "data")
        ),
        *container_fields("containers", "pod containers"),
        *container_fields("initContainers", "pod init containers"),
        *container_fields("ephemeralContainers", "pod ephemeral containers", has_ports=False),
        _field("req.container.image", "image of the first container", first_image),
        _field(
            "req.container.image.repository",
            "image repository of the first container",
            first_repository,
        ),
        _field(
            "req.container.host_network",
            "requestObject.spec.hostNetwork",
            scalar(*SPEC, "hostNetwork"),
        ),
        _field(
            "req.container.privileged",
            "true if any container is privileged, else false",
            any_privileged,
        ),
        _field("req.pod.host_ipc", "requestObject.spec.hostIPC", scalar(*SPEC, "hostIPC")),
        _field(
            "req.pod.host_network",
            "requestObject.spec.hostNetwork",
            scalar(*SPEC, "hostNetwork"),
        ),
        _field("req.pod.host_pid", "requestObject.spec.hostPID", scalar(*SPEC, "hostPID")),
        _field(
            "req.pod.run_as_user",
            "requestObject.spec.securityContext.runAsUser",
            scalar(*CONTEXT, "runAsUser"),
        ),
        _field(
            "req.pod.run_as_group",
            "requestObject.spec.securityContext.runAsGroup",
            scalar(*CONTEXT, "runAsGroup"),
        ),
        _field(
            "req.pod.fs_group",
            "requestObject.spec.securityContext.fsGroup",
            scalar(*CONTEXT, "fsGroup"),
        ),
        _list_field(
            "req.pod.supplemental_groups",
            "requestObject.spec.securityContext.supplementalGroups",
            elements(*CONTEXT, "supplementalGroups"),
            _ONE,
        ),
        _list_field(
            "req.role.rules",
            "requestObject.rules, each as JSON text",
            elements("requestObject", "rules"),
            _ONE,
        ),
        _list_field(
            "req.role.rules.apiGroups",
            "apiGroups of all role rules",
            of_rules("apiGroups"),
        ),
        _list_field(
            "req.role.rules.nonResourceURLs",
            "nonResourceURLs of all role rules",
            of_rules("nonResourceURLs"),
        ),
        _list_field("req.role.rules.verbs", "verbs of all role rules", of_rules("verbs")),
        _list_field(
            "req.role.rules.resources",
            "resources of all role rules",
            of_rules("resources"),
        ),
        _field("req.service.type", "requestObject.spec.type", scalar(*SPEC, "type")),
        _list_field("req.service.ports", "requestObject.spec.ports as JSON text", listed(ports)),
        _keyed(
            "req.volume.hostpath",
            "text true if some volume hostPath is the key (or starts with it if it ends in *)",
            bind_host_path,
        ),
        _list_field(
            "req.pod.volumes.hostpath",
            "hostPath.path of every volume that has one",
            where_set(*VOLUMES, "hostPath", "path"),
        ),
        _list_field(
            "req.pod.volumes.flexvolume_driver",
            "flexVolume.driver of the volumes",
            where_set(*VOLUMES, "flexVolume", "driver"),
        ),
        _list_field(
            "req.pod.volumes.volume_type",
            "source key names of the volumes",
            listed(volume_types),
        ),
        _field(
            "resp.name",
            "responseObject.metadata.name",
            scalar("responseObject", "metadata", "name"),
        ),
        _field("response.code", "responseStatus.code as text", scalar("responseStatus", "code")),
        _field("response.reason", "responseStatus.reason", scalar("responseStatus", "reason")),
        _field("useragent", "userAgent", scalar("userAgent")),
        _list_field(
            "sourceips",
            "sourceIPs of the role rules in the request (not those of the audit event)",
            of_rules("sourceIPs"),
        ),
        _list_field(
            "cluster.name",
            "annotation cluster_name, if it is a list",
            elements("annotations", "cluster_name"),
        ),
    ),
)
