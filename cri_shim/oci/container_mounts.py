"""The mounts of a workload container: which there are, and how they are made.

Source: containerd `internal/cri/server/container_create.go` (`linuxContainerMounts`, `volumeMounts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.oci import bind_mount, mounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cri_shim.oci.container_input import ContainerSpecInput
    from cri_shim.oci.linux_spec import Namespace
    from cri_shim.oci.spec import Mount

SHM = "/dev/shm"


def wanted_mounts(given: ContainerSpecInput) -> list[cri.Mount]:
    """All mounts that the request, the pod and the image ask for, in order, each checked by itself.

    Raises InvalidArgument for one that no host could make.
    """
    own = [*_pod_files(given), *(_own(item.container_path, item.host_path, given) for item in given.volumes)]
    wanted = mounts.chosen(given.config.mounts, own)
    for mount in wanted:
        bind_mount.check(mount, given.policy)
    return wanted


def _pod_files(given: ContainerSpecInput) -> list[cri.Mount]:
    """With a read-only root the pod's files are read-only, too, but shared memory never is."""
    files, readonly = given.files, given.context.readonly_rootfs
    places = (("/etc/hostname", files.hostname), ("/etc/hosts", files.hosts), ("/etc/resolv.conf", files.resolv_conf))
    found = [_own(place, path, given, readonly=readonly) for place, path in places if path]
    if files.shm:  # a tmpfs, which kernels before 6.3 can't map ids of; it is empty at first, so that none need it
        found.append(cri.Mount(container_path=SHM, host_path=files.shm, selinux_relabel=files.shm != SHM))
    return found


def _own(container_path: str, host_path: str, given: ContainerSpecInput, *, readonly: bool = False) -> cri.Mount:
    """A mount that nobody asked for: its files belong to the node's root, who must be the pod's root inside."""
    users = given.users_options
    return cri.Mount(
        container_path=container_path,
        host_path=host_path,
        readonly=readonly,
        selinux_relabel=True,
        uid_mappings=users.uids if users else [],
        gid_mappings=users.gids if users else [],
    )


def container_mounts(
    base: Iterable[Mount], namespaces: Iterable[Namespace], wanted: Sequence[cri.Mount], given: ContainerSpecInput
) -> list[Mount]:
    """The mounts of the spec. Makes missing sources; raises what `bind_mount.bind` does."""
    kernel = mounts.without(base, "/run")
    if given.users_options and given.sandbox_options.network == cri.NamespaceMode.NODE:
        kernel = mounts.with_node_sys(kernel)
    own_cgroup = any(namespace.type == "cgroup" for namespace in namespaces)
    options = () if own_cgroup else given.facts.cgroup_mount_options
    kernel.append(mounts.cgroup_mount(options, writable=given.policy.cgroup_writable))
    found = mounts.merged(kernel, wanted, given.host, given.labels.mount)
    return mounts.writable_kernel(found) if given.context.privileged else found
