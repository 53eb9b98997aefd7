"""The mounts of a container: the default ones, the pod's files, the request's, in the order that nesting asks for.

Source: containerd `internal/cri/opts/spec_linux_opts.go` (`WithMounts`), `internal/cri/server/container_create.go`.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.host_view import Propagation
from cri_shim.oci.spec import IdMapping, Mount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.policy import Policy

RRO_UNSUPPORTED = "RROUnsupported"  # the kubelet looks for this prefix
CGROUP_PATH = "/sys/fs/cgroup"

_PROPAGATION = {
    cri.MountPropagation.PROPAGATION_PRIVATE: "rprivate",
    cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER: "rslave",
    cri.MountPropagation.PROPAGATION_BIDIRECTIONAL: "rshared",
}


@dataclass(frozen=True)
class Merged:
    """A container's mounts, and the propagation that its root then has to have: "" for the runtime's default."""

    mounts: list[Mount]
    rootfs_propagation: str


def merged(
    defaults: Sequence[Mount],
    wanted: Sequence[cri.Mount],
    extra: Iterable[cri.Mount],
    host: HostView,
    policy: Policy,
) -> Merged:
    """The default mounts that nothing takes the place of, then the request's and the `extra` ones, outer before inner.

    Raises InvalidArgument for a mount that can't be made as asked.
    """
    taken = {_clean(mount.container_path) for mount in wanted}
    chosen = [*wanted, *(mount for mount in extra if _clean(mount.container_path) not in taken)]
    chosen.sort(key=lambda mount: _clean(mount.container_path).count("/"))
    places = {_clean(mount.container_path) for mount in chosen}
    kept = [mount for mount in defaults if not _replaced(mount.destination, places)]
    made = [_bind(mount, host, policy) for mount in chosen]
    asked = {mount.propagation for mount in chosen}
    return Merged([*kept, *made], _rootfs_propagation(asked))


def _clean(path: str) -> str:
    return posixpath.normpath(posixpath.join("/", path)) if path else ""


def _replaced(destination: str, places: set[str]) -> bool:
    return destination in places or ("/dev" in places and destination.startswith("/dev/"))


def _rootfs_propagation(asked: set[cri.MountPropagation]) -> str:
    if cri.MountPropagation.PROPAGATION_BIDIRECTIONAL in asked:
        return "rshared"
    return "rslave" if cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER in asked else ""


def _bind(mount: cri.Mount, host: HostView, policy: Policy) -> Mount:
    if not mount.container_path:
        raise InvalidArgument(f"config.mounts: the mount of {mount.host_path!r} has no container_path")
    if not mount.host_path:
        raise InvalidArgument(f"config.mounts: the mount at {mount.container_path!r} has no host_path")
    try:
        source = host.real_path(mount.host_path)
        _check_propagation(mount, source, host)
    except OSError as error:
        raise InvalidArgument(
            f"config.mounts: host_path {mount.host_path!r} of {mount.container_path!r}: {error.strerror or error}"
        ) from error
    options = ["rbind", _PROPAGATION.get(mount.propagation, "rprivate"), _access(mount, policy)]
    return Mount(
        mount.container_path,
        "bind",
        source,
        options,
        uid_mappings=id_mappings(mount.uid_mappings),
        gid_mappings=id_mappings(mount.gid_mappings),
    )


def id_mappings(mappings: Iterable[cri.IdMapping]) -> list[IdMapping]:
    """Id mappings as a spec has them."""
    return [IdMapping(item.container_id, item.host_id, item.length) for item in mappings]


def _check_propagation(mount: cri.Mount, source: str, host: HostView) -> None:
    bidirectional = mount.propagation == cri.MountPropagation.PROPAGATION_BIDIRECTIONAL
    if not bidirectional and mount.propagation != cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER:
        return
    found = host.propagation(source)
    if found is Propagation.SHARED or (found is Propagation.SLAVE and not bidirectional):
        return
    needed = "a shared mount" if bidirectional else "a shared or slave mount"
    raise InvalidArgument(
        f"config.mounts: path {mount.host_path!r} is mounted on {source!r} but it is not {needed}: "
        "mount it so (`mount --make-rshared`), or ask for PROPAGATION_PRIVATE"
    )


def _access(mount: cri.Mount, policy: Policy) -> str:
    if not mount.recursive_read_only:
        return "ro" if mount.readonly else "rw"
    where = f"config.mounts: the mount at {mount.container_path!r}"
    if not policy.recursive_read_only_mounts:
        raise InvalidArgument(f"{RRO_UNSUPPORTED}: {where} asks for recursive_read_only, which the runtime can't do")
    if not mount.readonly:
        raise InvalidArgument(f"{where} asks for recursive_read_only, but not for readonly: set both")
    if mount.propagation != cri.MountPropagation.PROPAGATION_PRIVATE:
        raise InvalidArgument(f"{where} asks for recursive_read_only: its propagation must be PROPAGATION_PRIVATE")
    return "rro"


def cgroup_mount(options: Iterable[str], *, writable: bool) -> Mount:
    """The cgroup file system of a container; `options` are the host's, where the container shares its namespace."""
    access = "rw" if writable else "ro"
    return Mount(CGROUP_PATH, "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", access, *options])


def writable_kernel(mounts: Iterable[Mount]) -> list[Mount]:
    """The mounts of a privileged container: sysfs and cgroup can be written."""
    return [
        Mount(mount.destination, mount.type, mount.source, [_rw(option) for option in mount.options],
              mount.uid_mappings, mount.gid_mappings)
        if mount.type in ("sysfs", "cgroup")
        else mount
        for mount in mounts
    ]  # fmt: skip


def _rw(option: str) -> str:
    return "rw" if option == "ro" else option
