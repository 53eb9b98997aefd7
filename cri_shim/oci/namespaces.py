"""Namespaces of the sandbox and of its containers.

Source: containerd `internal/cri/server/podsandbox/sandbox_run_linux.go`, `internal/cri/opts/spec_opts.go`
(`WithPodNamespaces`), and the CRI's own words on NamespaceMode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import checks
from cri_shim.oci.defaults import NAMESPACES as DEFAULT
from cri_shim.oci.fields import NAMESPACES
from cri_shim.oci.linux_spec import IdMapping, Namespace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cri_shim.oci.policy import Policy

USERNS = f"{NAMESPACES}.userns_options"
_MODES = cri.NamespaceMode


@dataclass(frozen=True)
class UserMappings:
    """The mappings of a pod's own user namespace."""

    uids: list[IdMapping]
    gids: list[IdMapping]


def id_mappings(mappings: Iterable[cri.IdMapping]) -> list[IdMapping]:
    """Id mappings as a spec has them."""
    return [IdMapping(item.container_id, item.host_id, item.length) for item in mappings]


def check_pod_options(options: cri.NamespaceOption) -> None:
    """Raise InvalidArgument for a mode that a pod can't have: it is a pod's, in its own words or a container's."""
    for name, mode in _modes(options):
        checks.one_of(f"{NAMESPACES}.{name}", mode, (_MODES.POD, _MODES.CONTAINER, _MODES.NODE))


def check_container_options(options: cri.NamespaceOption) -> None:
    """Raise InvalidArgument for a mode that a container can't have: only a pid namespace can be its own."""
    for name, mode in _modes(options):
        checks.one_of(f"{NAMESPACES}.{name}", mode, _MODES if name == "pid" else (_MODES.POD, _MODES.NODE))
    if options.pid == _MODES.TARGET and not options.target_id:
        raise InvalidArgument(f"{NAMESPACES}.target_id is empty: pid mode TARGET needs a running container of the pod")


def _modes(options: cri.NamespaceOption) -> tuple[tuple[str, cri.NamespaceMode], ...]:
    return ("network", options.network), ("pid", options.pid), ("ipc", options.ipc)


def sandbox_namespaces(
    options: cri.NamespaceOption, netns_path: str, *, own_users: bool, userns_path: str
) -> list[Namespace]:
    """The pause container's namespaces; those that the pod shares with the node are left out.

    `userns_path` is the user namespace that owns the one at `netns_path`; "" makes a new one.
    """
    shared = {
        kind
        for kind, mode in (
            ("pid", options.pid),
            ("ipc", options.ipc),
            ("uts", options.network),  # a pod in the node's network has the node's name
            ("network", options.network),
        )
        if mode == cri.NamespaceMode.NODE
    }
    paths = {"network": netns_path}
    found = [Namespace(kind, paths.get(kind, "")) for kind in DEFAULT if kind not in shared]
    return [*found, Namespace("user", userns_path)] if own_users else found


def container_namespaces(
    base: Sequence[Namespace],
    pid: cri.NamespaceMode,
    sandbox_pid: int,
    target_pid: int,
    *,
    own_cgroup: bool,
    own_users: bool,
) -> list[Namespace]:
    """A workload container's namespaces: `base` with the pause process's, joined by its pid, in their places.

    The pod's mode for sharing with the node needs nothing here: the pause process is in the node's namespace then.
    """
    pause = f"/proc/{sandbox_pid}/ns"
    joined = [Namespace("network", f"{pause}/net"), Namespace("ipc", f"{pause}/ipc"), Namespace("uts", f"{pause}/uts")]
    if own_cgroup:
        joined.insert(0, Namespace("cgroup"))
    if pid == cri.NamespaceMode.TARGET:
        joined.append(Namespace("pid", f"/proc/{target_pid}/ns/pid"))
    elif pid != cri.NamespaceMode.CONTAINER:
        joined.append(Namespace("pid", f"{pause}/pid"))
    if own_users:
        joined.append(Namespace("user", f"{pause}/user"))
    found = {namespace.type: namespace for namespace in base}
    found.update((namespace.type, namespace) for namespace in joined)
    return list(found.values())


def user_mappings(wanted: cri.UserNamespace | None, policy: Policy) -> UserMappings | None:
    """The mappings of the pod's user namespace, None for the node's. InvalidArgument for what can't be had."""
    if wanted is None:
        return None
    if wanted.mode == cri.NamespaceMode.NODE:
        if wanted.uids or wanted.gids:
            raise InvalidArgument(f"{USERNS}: mode NODE can't have uids or gids: leave them out, or use mode POD")
        return None
    if wanted.mode != cri.NamespaceMode.POD:
        raise InvalidArgument(
            f"{USERNS}.mode: unsupported user namespace mode {wanted.mode.name or int(wanted.mode)}: use POD or NODE"
        )
    found = UserMappings(_one_mapping("uids", wanted.uids), _one_mapping("gids", wanted.gids))
    if not policy.user_namespaces:
        raise InvalidArgument(
            f"{USERNS}.mode is POD, but the pod's runtime has no user namespaces with mapped mounts (see `features` of "
            "the OCI runtime): use mode NODE, or another runtime handler"
        )
    return found


def _one_mapping(name: str, mappings: Sequence[cri.IdMapping]) -> list[IdMapping]:
    if len(mappings) != 1 or mappings[0].length < 1:
        lengths = [item.length for item in mappings]
        raise InvalidArgument(
            f"{USERNS}.{name} must be exactly one mapping of at least one id: there are {len(mappings)}, of lengths "
            f"{lengths}"
        )
    return id_mappings(mappings)


def check_same_users(sandbox: cri.UserNamespace | None, container: cri.UserNamespace | None) -> None:
    """InvalidArgument for a container whose user namespace isn't its pod's; none at all is the node's."""
    if _identity(sandbox) != _identity(container):
        raise InvalidArgument(
            f"{USERNS}: user namespace config for sandbox is different from container: {_said(container)} here, "
            f"{_said(sandbox)} there: containers share their pod's"
        )


def _identity(options: cri.UserNamespace | None) -> object:
    if options is None:
        return int(cri.NamespaceMode.NODE), [], []
    return int(options.mode), id_mappings(options.uids), id_mappings(options.gids)


def _said(options: cri.UserNamespace | None) -> str:
    if options is None:
        return "none"
    ranges = [f"{item.container_id}:{item.host_id}:{item.length}" for item in (*options.uids, *options.gids)]
    return " ".join([f"mode {options.mode.name or int(options.mode)}", *ranges])
