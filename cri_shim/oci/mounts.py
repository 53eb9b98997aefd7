"""The mounts of a container: the default ones, the pod's files, the request's, in the order that nesting asks for.

Source: containerd `internal/cri/opts/spec_linux_opts.go` (`withMounts`), `internal/cri/server/container_create.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cri_shim.oci import bind_mount
from cri_shim.oci.paths import clean
from cri_shim.oci.spec import Mount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.oci.host_view import HostView

CGROUP_PATH = "/sys/fs/cgroup"
_NODE_SYS = Mount("/sys", "bind", "/sys", ["rbind", "rro", "nosuid", "nodev", "noexec"])


def chosen(wanted: Sequence[cri.Mount], extra: Iterable[cri.Mount]) -> list[cri.Mount]:
    """The request's mounts, and those `extra` ones whose place it leaves free, outer before inner.

    Nothing is dropped of the request's: of two at one place the later covers the earlier, as asked.
    """
    taken = {clean(mount.container_path) for mount in wanted}
    found = [*wanted, *(mount for mount in extra if clean(mount.container_path) not in taken)]
    return sorted(found, key=lambda mount: clean(mount.container_path).count("/"))


def merged(
    defaults: Iterable[Mount], mounts: Sequence[cri.Mount], host: HostView, mount_label: str = ""
) -> list[Mount]:
    """The default mounts that nothing takes the place of, then `mounts`. Raises what `bind_mount.bind` does."""
    places = {clean(mount.container_path) for mount in mounts}
    kept = [mount for mount in defaults if not _replaced(clean(mount.destination), places)]
    return kept + [bind_mount.bind(mount, host, mount_label) for mount in mounts]


def _replaced(destination: str, places: set[str]) -> bool:
    return destination in places or ("/dev" in places and destination.startswith("/dev/"))


def without(mounts: Iterable[Mount], destination: str) -> list[Mount]:
    """The mounts but for what is at `destination`."""
    return [mount for mount in mounts if clean(mount.destination) != destination]


def cgroup_mount(options: Iterable[str], *, writable: bool) -> Mount:
    """The cgroup file system of a container; `options` are the node's, where the container shares its namespace.

    There is one superblock then: mounting it again without them would take them from the node.
    """
    access = "rw" if writable else "ro"
    return Mount(CGROUP_PATH, "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", access, *options])


def with_node_sys(mounts: Iterable[Mount]) -> list[Mount]:
    """The mounts with the node's /sys: a user namespace can't mount the sysfs of a network that isn't its own."""
    return [_NODE_SYS if clean(mount.destination) == "/sys" else mount for mount in mounts]


def writable_kernel(mounts: Iterable[Mount]) -> list[Mount]:
    """The mounts of a privileged container: sysfs and cgroup can be written."""
    return [_writable(mount) if mount.type in ("sysfs", "cgroup") else mount for mount in mounts]


def _writable(mount: Mount) -> Mount:
    return msgspec.structs.replace(mount, options=["rw" if option == "ro" else option for option in mount.options])
