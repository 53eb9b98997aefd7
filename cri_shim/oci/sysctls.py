"""Kernel settings of a pod's own network, and those that let everybody bind low ports and ping in it.

Source: containerd `internal/cri/server/podsandbox/sandbox_run_linux.go`; ip-sysctl of the kernel's documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.policy import Policy

PORT_START = "net.ipv4.ip_unprivileged_port_start"
PING_RANGE = "net.ipv4.ping_group_range"
EVERYBODY = "0 2147483647"
_IPC = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_DOMAIN, _HOST = "kernel.domainname", "kernel.hostname"


def sysctls(
    wanted: Mapping[str, str], network: cri.NamespaceMode, policy: Policy, facts: NodeFacts, *, own_users: bool
) -> dict[str, str]:
    """The pod's sysctls; nothing is added in the node's network, nor ping where groups of the range are unmapped."""
    found = dict(wanted)
    if network == cri.NamespaceMode.NODE:
        return found
    if policy.enable_unprivileged_ports:
        found.setdefault(PORT_START, "0")
    if policy.enable_unprivileged_icmp and not own_users and not facts.in_user_namespace:
        found.setdefault(PING_RANGE, EVERYBODY)
    return found


def check_sysctls(wanted: Mapping[str, str], options: cri.NamespaceOption) -> None:
    """Raise InvalidArgument for a sysctl that is not of a namespace of the pod's own: it would be the node's."""
    for name in wanted:
        dotted = name.replace("/", ".")
        field = f"config.linux.sysctls has {name!r:.100}"
        if dotted == _HOST:
            raise InvalidArgument(f"{field}: set config.hostname instead")
        if dotted.startswith("net.") or dotted == _DOMAIN:  # a pod on the node's network has the node's names, too
            if options.network == cri.NamespaceMode.NODE:
                raise InvalidArgument(f"{field}, but the pod is on the node's network: leave it out")
        elif dotted in _IPC or dotted.startswith("fs.mqueue."):
            if options.ipc == cri.NamespaceMode.NODE:
                raise InvalidArgument(f"{field}, but the pod is in the node's ipc namespace: leave it out")
        else:
            raise InvalidArgument(
                f"{field}: no namespace has it; use net.*, fs.mqueue.*, kernel.shm*, kernel.msg*, kernel.sem or "
                f"{_DOMAIN}"
            )
