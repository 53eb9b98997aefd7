"""A pod's attachment to its networks: what Kubernetes tells plugins about the pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import bandwidth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

POD_ID_ARGUMENT: Final = "K8S_POD_INFRA_CONTAINER_ID"
_POD_ANNOTATIONS: Final = "io.kubernetes.cri.pod-annotations"


@dataclass(frozen=True, slots=True)
class Attachment:
    """Which pod, in which namespace ("" once it is gone); arguments for every plugin, and each capability's value as
    JSON for those plugins that ask for it.
    """

    container_id: str
    netns: str
    arguments: tuple[tuple[str, str], ...] = ()
    capabilities: Mapping[str, msgspec.Raw] = field(default_factory=dict)


class _PortMapping(msgspec.Struct, frozen=True):
    HostPort: int
    ContainerPort: int
    Protocol: str
    HostIP: str


class _Dns(msgspec.Struct, frozen=True):
    Servers: list[str]
    Searches: list[str]
    Options: list[str]


def attachment(config: cri.PodSandboxConfig, sandbox_id: str, netns_path: str) -> Attachment:
    """The pod's attachment as containerd describes it to plugins, the same for ADD, CHECK and DEL.

    Raises `errors.InvalidArgument` for a bandwidth annotation that is wrong.
    """
    values = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in _capabilities(config).items()}
    return Attachment(sandbox_id, netns_path, _arguments(config, sandbox_id), values)


def _arguments(config: cri.PodSandboxConfig, sandbox_id: str) -> tuple[tuple[str, str], ...]:
    metadata = config.metadata or cri.PodSandboxMetadata()
    return (
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", metadata.namespace),
        ("K8S_POD_NAME", metadata.name),
        (POD_ID_ARGUMENT, sandbox_id),
        ("K8S_POD_UID", metadata.uid),
    )


def _capabilities(config: cri.PodSandboxConfig) -> dict[str, object]:
    values: dict[str, object] = {_POD_ANNOTATIONS: dict(config.annotations)}
    if mappings := _port_mappings(config.port_mappings):
        values["portMappings"] = mappings
    if (limits := bandwidth.from_annotations(config.annotations)) is not None:
        values["bandwidth"] = limits
    if (dns := config.dns_config) is not None:
        values["dns"] = _Dns(list(dns.servers), list(dns.searches), list(dns.options))
    if config.linux is not None and config.linux.cgroup_parent:
        values["cgroupPath"] = config.linux.cgroup_parent
    return values


def _port_mappings(mappings: Iterable[cri.PortMapping]) -> list[_PortMapping]:
    """Those with a host port, in go-cni's spelling of the keys; plugins read them whatever their case."""
    return [
        _PortMapping(one.host_port, one.container_port, _protocol(one), one.host_ip)
        for one in mappings
        if one.host_port > 0
    ]


def _protocol(mapping: cri.PortMapping) -> str:
    return (cri.Protocol(mapping.protocol).name or "").lower()
