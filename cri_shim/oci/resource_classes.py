"""Classes of block I/O, and of cache and memory bandwidth (RDT), that annotations ask for a container.

A container's own annotation wins over its pod's for it, and that over the pod's for all.
Source: goresctrl `pkg/kubernetes/annotations.go`, `pkg/rdt/kubernetes.go`, containerd
`internal/cri/server/blockio_linux.go`, `rdt.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cri_shim.errors import InvalidArgument
from cri_shim.oci.linux_spec import BlockIo, IntelRdt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.policy import Policy

_BLOCKIO: Final = "blockio"
_RDT: Final = "rdt"


@dataclass(frozen=True)
class _Wanted:
    """A class, and the annotation that asks for it."""

    name: str = ""
    annotation: str = ""
    of_pod: bool = False

    def __str__(self) -> str:
        owner = "sandbox_config" if self.of_pod else "config"
        return f"{owner}.annotations[{self.annotation!r}] is {self.name!r}"


def block_io(
    base: BlockIo | None, config: cri.ContainerConfig, pod: Mapping[str, str], policy: Policy, facts: NodeFacts
) -> BlockIo | None:
    """The container's limits of block I/O, `base` where no class is asked for or can be had.

    Raises InvalidArgument for a class that is not configured, and on a node without any unless that is to be ignored.
    """
    wanted = _class_of(_BLOCKIO, config, pod)
    if not wanted.name:
        return base
    if facts.blockio_classes is not None:
        if wanted.name not in facts.blockio_classes:
            raise InvalidArgument(
                f"{wanted}: there is no such block I/O class; {_there(facts.blockio_classes)} in blockio_config_file"
            )
        return facts.blockio_classes[wanted.name]
    if policy.ignore_blockio_not_enabled_errors:
        return base
    raise InvalidArgument(
        f"{wanted}: blockio disabled, refusing to set blockio class of container {_name(config)!r} to "
        f"{wanted.name!r}: name a blockio_config_file that can be read, leave the annotation out, or set "
        "ignore_blockio_not_enabled_errors"
    )


def rdt(
    base: IntelRdt | None,
    config: cri.ContainerConfig,
    pod: Mapping[str, str],
    policy: Policy,
    facts: NodeFacts,
    host: HostView,
) -> IntelRdt | None:
    """The container's class of cache and memory bandwidth, `base` where none is asked for or can be had.

    Raises InvalidArgument for a class that the node hasn't got, or that such an annotation may not ask for, and on a
    node without any unless that is to be ignored.
    """
    wanted = _class_of(_RDT, config, pod)
    if not wanted.name:
        return base
    there = host.rdt_classes() if facts.rdt_rules is not None else None
    if facts.rdt_rules is None or there is None:
        if policy.ignore_rdt_not_enabled_errors:
            return base
        raise InvalidArgument(
            f"{wanted}: RDT disabled, refusing to set RDT class of container {_name(config)!r} to {wanted.name!r}: "
            "mount resctrl and name an rdt_config_file that can be read, leave the annotation out, or set "
            "ignore_rdt_not_enabled_errors"
        )
    if wanted.name not in there:
        raise InvalidArgument(f"{wanted}: there is no such RDT class on this node; {_there(there)} in resctrl")
    denied = facts.rdt_rules.not_for_pods if wanted.of_pod else facts.rdt_rules.not_for_containers
    if wanted.name in denied:
        owners = "pods" if wanted.of_pod else "containers"
        raise InvalidArgument(f"{wanted}: rdt_config_file denies this class to annotations of {owners}")
    return IntelRdt(clos_id=wanted.name)


def _there(names: Iterable[str]) -> str:
    return f"there are {', '.join(sorted(names)) or 'none'}"


def _class_of(kind: str, config: cri.ContainerConfig, pod: Mapping[str, str]) -> _Wanted:
    prefix = f"{kind}.resources.beta.kubernetes.io"
    own = f"io.kubernetes.cri.{kind}-class"
    if own in config.annotations:
        return _Wanted(config.annotations[own], own)
    for key in (f"{prefix}/container.{_name(config)}", f"{prefix}/pod"):
        if key in pod:
            return _Wanted(pod[key], key, of_pod=True)
    return _Wanted()


def _name(config: cri.ContainerConfig) -> str:
    return config.metadata.name if config.metadata else ""
