"""Namespaces of the sandbox and of its containers.

Source: containerd `internal/cri/server/podsandbox/sandbox_run_linux.go`, `internal/cri/opts/spec_linux_opts.go`
(`WithPodNamespaces`), and the CRI's own words on NamespaceMode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.mounts import id_mappings
from cri_shim.oci.spec import IdMapping, Namespace

if TYPE_CHECKING:
    from cri_shim.oci.policy import Policy


@dataclass(frozen=True)
class UserMappings:
    """The mappings of a pod's own user namespace."""

    uids: list[IdMapping]
    gids: list[IdMapping]


def sandbox_namespaces(options: cri.NamespaceOption, netns_path: str, *, own_users: bool) -> list[Namespace]:
    """The pause container's namespaces; those that the pod shares with the node are left out."""
    node = cri.NamespaceMode.NODE
    found = [] if options.pid == node else [Namespace("pid")]
    if options.ipc != node:
        found.append(Namespace("ipc"))
    if options.network != node:
        found.append(Namespace("uts"))
    found.append(Namespace("mount"))
    if options.network != node:
        found.append(Namespace("network", netns_path))
    if own_users:
        found.append(Namespace("user"))
    return found


def container_namespaces(
    options: cri.NamespaceOption, sandbox_pid: int, target_pid: int, *, own_cgroup: bool, own_users: bool
) -> list[Namespace]:
    """A workload container's namespaces: the pause process's, joined by its pid, and its own mounts.

    The pod's mode for sharing with the node needs nothing here: the pause process is in the node's namespace then.
    """
    pause = f"/proc/{sandbox_pid}/ns"
    found = [Namespace("mount")]
    if own_cgroup:
        found.append(Namespace("cgroup"))
    if options.pid == cri.NamespaceMode.CONTAINER:
        found.append(Namespace("pid"))
    elif options.pid == cri.NamespaceMode.TARGET:
        found.append(Namespace("pid", f"/proc/{target_pid}/ns/pid"))
    else:
        found.append(Namespace("pid", f"{pause}/pid"))
    found += [Namespace("network", f"{pause}/net"), Namespace("ipc", f"{pause}/ipc"), Namespace("uts", f"{pause}/uts")]
    if own_users:
        found.append(Namespace("user", f"{pause}/user"))
    return found


def user_mappings(options: cri.NamespaceOption, policy: Policy) -> UserMappings | None:
    """The mappings of the pod's user namespace, None for the node's. InvalidArgument for what can't be had."""
    wanted = options.userns_options
    if wanted is None:
        return None
    where = "security_context.namespace_options.userns_options"
    if wanted.mode == cri.NamespaceMode.NODE:
        if wanted.uids or wanted.gids:
            raise InvalidArgument(f"{where}: mode NODE can't have uids or gids: leave them out, or use mode POD")
        return None
    if wanted.mode != cri.NamespaceMode.POD:
        raise InvalidArgument(f"{where}.mode {wanted.mode.name or int(wanted.mode)} is not supported: use POD or NODE")
    if not policy.user_namespaces:
        raise InvalidArgument(f"{where}: the pod's runtime has no user namespaces with id-mapped mounts")
    for name, mappings in (("uids", wanted.uids), ("gids", wanted.gids)):
        if len(mappings) != 1 or mappings[0].length < 1:
            raise InvalidArgument(f"{where}.{name} must be exactly one mapping of at least one id, not {mappings!r}")
    return UserMappings(id_mappings(wanted.uids), id_mappings(wanted.gids))
