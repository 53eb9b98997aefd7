"""Classes of block I/O, and of cache and memory bandwidth (RDT), that annotations ask for a container.

A container's own annotation wins over its pod's for it, and that over the pod's for all.
Source: goresctrl `pkg/kubernetes/annotations.go`, containerd `internal/cri/server/blockio_linux.go`, `rdt_linux.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cri_shim.errors import InvalidArgument
from cri_shim.oci.linux_spec import IntelRdt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.policy import Policy

_BLOCKIO: Final = "blockio"
_RDT: Final = "rdt"


def check_blockio_class(config: cri.ContainerConfig, pod: Mapping[str, str], policy: Policy) -> None:
    """Raise InvalidArgument for a class of block I/O: what one means, containerd alone knows, and doesn't tell."""
    wanted = _class_of(_BLOCKIO, config, pod)
    if wanted and not policy.ignore_blockio_not_enabled_errors:
        raise InvalidArgument(
            f"blockio disabled, refusing to set blockio class of container {_name(config)!r} to {wanted!r}: leave the "
            "annotation out, or set ignore_blockio_not_enabled_errors"
        )


def rdt(
    base: IntelRdt | None, config: cri.ContainerConfig, pod: Mapping[str, str], policy: Policy, facts: NodeFacts
) -> IntelRdt | None:
    """The container's class of cache and memory bandwidth, `base` where none is asked for or can be had.

    Raises InvalidArgument for a class that the node hasn't got, and on a node without any unless that is to be ignored.
    """
    wanted = _class_of(_RDT, config, pod)
    if not wanted:
        return base
    if wanted in facts.rdt_classes:
        return IntelRdt(clos_id=wanted)
    if facts.rdt_classes:
        there = ", ".join(sorted(facts.rdt_classes))
        raise InvalidArgument(
            f"RDT class {wanted!r} of container {_name(config)!r} is not on this node: it has {there}"
        )
    if policy.ignore_rdt_not_enabled_errors:
        return base
    raise InvalidArgument(
        f"RDT disabled, refusing to set RDT class of container {_name(config)!r} to {wanted!r}: leave the annotation "
        "out, or set ignore_rdt_not_enabled_errors"
    )


def _class_of(kind: str, config: cri.ContainerConfig, pod: Mapping[str, str]) -> str:
    prefix = f"{kind}.resources.beta.kubernetes.io"
    own = f"io.kubernetes.cri.{kind}-class"
    if own in config.annotations:
        return config.annotations[own]
    for key in (f"{prefix}/container.{_name(config)}", f"{prefix}/pod"):
        if key in pod:
            return pod[key]
    return ""


def _name(config: cri.ContainerConfig) -> str:
    return config.metadata.name if config.metadata else ""
