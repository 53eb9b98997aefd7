"""How a case is written: a pod, a container in it, and a name that says what they have of their own."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from cri_shim.api.runtime import v1 as cri
from integration.images.catalog import CONTAINERD, OWN, STAGING
from integration.kubelet import BUSYBOX

if TYPE_CHECKING:
    from collections.abc import Mapping

C = TypeVar("C", cri.LinuxContainerSecurityContext, cri.LinuxSandboxSecurityContext)

Context = cri.LinuxContainerSecurityContext
Mode = cri.NamespaceMode
Options = cri.NamespaceOption
Resources = cri.LinuxContainerResources
Capabilities = cri.Capability

ENTRYPOINT = f"{OWN}entrypoint:1"
NO_COMMAND = f"{OWN}no-command:1"
UNKNOWN_USER = f"{OWN}unknown-user:1"
VOLUMES = f"{OWN}volumes:1"
NOWHERE, NO_NAME = "registry.k8s.io/no/such:1", "UPPER CASE"
ODD_VOLUMES = f"{CONTAINERD}volume-copy-up:2.1"
GROUPS = f"{STAGING}test-image-predefined-group:latest"

RUNNING = "a container of the pod that runs"  # as a target_id: takes the place of an id
PLAIN, TURNED = "plain", "turned"  # nodes: containerd's defaults, and every setting of the spec's the other way


@dataclass(frozen=True, eq=False)
class Pod:
    """A pod as it is asked for; the cases that name the same one share it."""

    linux: cri.LinuxPodSandboxConfig | None = None
    handler: str = ""
    node: str = PLAIN
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def on_node_network(self) -> bool:
        """Whether it shares the node's network, and so its host name."""
        context = self.linux.security_context if self.linux else None
        options = context.namespace_options if context else None
        return options is not None and options.network == Mode.NODE


@dataclass(frozen=True, eq=False)
class Case:
    """A pod and a container of it; `container` are the fields of its config, `update` is asked for afterwards."""

    name: str
    pod: Pod
    container: Mapping[str, Any]
    update: Resources | None = None

    @property
    def images(self) -> set[str]:
        """The images that have to be there."""
        mounted = {mount.image.image for mount in self.container.get("mounts", ()) if mount.image}
        return {self.container["image"].image, *mounted} - {"", NOWHERE, NO_NAME}


def deprecated(kind: type[C], **fields: Any) -> C:
    """A security context with fields that old clients send."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return kind(**fields)


def pod(
    *,
    handler: str = "",
    node: str = PLAIN,
    linux: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    **context: Any,
) -> Pod:
    """A pod: `context` are fields of its security context, `linux` further ones of the Linux part, `fields` others."""
    context.setdefault("namespace_options", Options())
    security = deprecated(cri.LinuxSandboxSecurityContext, **context)
    config = cri.LinuxPodSandboxConfig(security_context=security, **(linux or {}))
    return Pod(config, handler, node, fields or {})


ORDINARY = pod()
NODES = pod(namespace_options=Options(network=Mode.NODE, pid=Mode.NODE, ipc=Mode.NODE))
NODES_NETWORK = pod(namespace_options=Options(network=Mode.NODE))  # the cheapest to make
PRIVILEGED = pod(privileged=True, namespace_options=Options(network=Mode.NODE))

BASED = pod(handler="based", namespace_options=Options(network=Mode.NODE))


def case(
    name: str,
    context: Context | None = None,
    resources: Resources | None = None,
    *,
    pod: Pod = ORDINARY,
    image: str | cri.ImageSpec = BUSYBOX,
    update: Resources | None = None,
    **fields: Any,
) -> Case:
    """A container with this security context, these resources, and these further fields."""
    linux = cri.LinuxContainerConfig(security_context=context or Context(), resources=resources)
    named = image if isinstance(image, cri.ImageSpec) else cri.ImageSpec(image=image)
    return Case(name, pod, {"linux": linux, "image": named, **fields}, update)


def number(value: int) -> cri.Int64Value:
    """A number that is asked for, even if it is 0."""
    return cri.Int64Value(value=value)


def mount(container_path: str, host_path: str = "/tmp", **fields: Any) -> cri.Mount:
    """A mount, of /tmp where it doesn't matter."""
    return cri.Mount(container_path=container_path, host_path=host_path, **fields)


def device(container_path: str, host_path: str = "/dev/null", permissions: str = "rwm") -> cri.Device:
    """A device, /dev/null where it doesn't matter."""
    return cri.Device(container_path=container_path, host_path=host_path, permissions=permissions)


def of_user(kind: str) -> str:
    """The image whose User is a `uid`, a `username`, or either with a `-group`."""
    return f"{STAGING}test-image-user-{kind}:latest"


def env(**variables: str) -> list[cri.KeyValue]:
    """Environment variables."""
    return [cri.KeyValue(key=key, value=value.encode()) for key, value in variables.items()]
