"""A pod's own user namespace: where it is kept, and what tasks are told of it.

A pod with a network of its own is given a pinned user namespace that owns that network's; one on the node's network is
given its users by the runtime. Source: containerd `internal/cri/server/sandbox_run_linux.go`, `container_start.go`
(`WithUIDOwner`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cri_shim.api.containerd.types.runc.options import oci_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.cri.namespace_options import namespace_options
from cri_shim.linux.userns import IdMapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf import any_pb2

    from cri_shim.oci.spec import User
    from cri_shim.state.paths import Paths
    from cri_shim.state.sandbox import RuntimeChoice


def own_users(linux: cri.LinuxPodSandboxConfig | cri.LinuxContainerConfig | None) -> cri.UserNamespace | None:
    """The user namespace that is asked for, None for the node's. Its mappings have been checked."""
    options = namespace_options(linux)
    users = options.userns_options if options is not None else None
    return users if users is not None and users.mode == cri.NamespaceMode.POD else None


def pinned_path(paths: Paths, sandbox_id: str) -> str:
    """Where a pod's user namespace is kept: in its state directory, so that it goes with that."""
    return os.path.join(paths.sandbox_state(sandbox_id), "pinned-namespaces", "user")


def id_mappings(mappings: Sequence[cri.IdMapping]) -> list[IdMapping]:
    """The mappings as the kernel is told them."""
    return [IdMapping(one.container_id, one.host_id, one.length) for one in mappings]


def task_options(runtime: RuntimeChoice, users: cri.UserNamespace | None, user: User) -> any_pb2.Any | None:
    """The options of a container's task: runc's shim makes the process's user the owner of its pipes.

    None where there is nothing to add to what the container's record says. The pod's root could not open /dev/stdout
    again if it were the node's root's.
    """
    options = oci_pb2.Options()
    if users is None or (runtime.options is not None and not typeurl.is_a(runtime.options, oci_pb2.Options)):
        return None
    if runtime.options is not None:
        options = typeurl.unpack(runtime.options, oci_pb2.Options)
    options.io_uid, options.io_gid = _outside(users.uids[0], user.uid), _outside(users.gids[0], user.gid)
    return typeurl.pack(options)


def _outside(mapping: cri.IdMapping, inside: int) -> int:
    return mapping.host_id + inside - mapping.container_id
