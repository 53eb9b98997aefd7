"""Capabilities of a container: the default set, what the request adds, what it drops.

Source: containerd `internal/cri/opts/spec_linux_opts.go` (`WithCapabilities`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.oci.defaults import CAPABILITIES
from cri_shim.oci.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.runtime import v1 as cri

ALL = "ALL"


def capabilities(wanted: cri.Capability | None, effective: Sequence[str], *, privileged: bool) -> Capabilities:
    """The capability sets; `effective` are our own, all that can be given: what `ALL` and privileged mean.

    Nothing becomes inheritable or ambient. A name that the kernel doesn't know is the runtime's to refuse.
    """
    names = list(effective) if privileged else _names(wanted, effective)
    return Capabilities(bounding=names, effective=list(names), permitted=list(names))


def _names(wanted: cri.Capability | None, effective: Sequence[str]) -> list[str]:
    names = list(CAPABILITIES)
    if wanted is None:
        return names
    added = [item.upper() for item in wanted.add_capabilities]
    dropped = [item.upper() for item in wanted.drop_capabilities]
    if ALL in added:
        names = list(effective)
    if ALL in dropped:
        names = []
    for item in added:
        if item != ALL and _name(item) not in names:
            names.append(_name(item))
    gone = {_name(item) for item in dropped if item != ALL}
    return [name for name in names if name not in gone]


def _name(item: str) -> str:
    return item if item.startswith("CAP_") else f"CAP_{item}"
