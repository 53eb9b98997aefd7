"""What of the node a container sees, where, and how."""

from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import Context, case, mount

Propagation = cri.MountPropagation
SLAVE, SHARED = Propagation.PROPAGATION_HOST_TO_CONTAINER, Propagation.PROPAGATION_BIDIRECTIONAL

CASES = (
    case("a mount", mounts=[mount("/a")]),
    case("a read-only mount", mounts=[mount("/a", readonly=True)]),
    case("a file", mounts=[mount("/etc/some/file", "/etc/hostname")]),
    case("a link", mounts=[mount("/a", "/proc/self/cwd")]),
    case("a source that isn't there", mounts=[mount("/a", "/tmp/differential/made")]),
    case("a place that isn't clean", mounts=[mount("/a/../b//c/")]),
    case("a place that is no path", mounts=[mount("data/x")]),
    case("no place", mounts=[mount("")]),
    case("no source", mounts=[mount("/a", "")]),
    case("a source that is no path", mounts=[mount("/a", "tmp")]),
    case(
        "inner mounts before outer ones",
        mounts=[mount("/deep/er/down"), mount("/deep", readonly=True), mount("/deep/er")],
    ),
    case("two at one place", mounts=[mount("/a"), mount("/a/", "/etc"), mount("/a/b", readonly=True)]),
    case(
        "in place of the pod's files",
        mounts=[mount("//etc/hosts", "/etc/hostname"), mount("/etc/./hostname", "/etc/hostname")],
    ),
    case(
        "in place of resolv.conf with a read-only root",
        Context(readonly_rootfs=True),
        mounts=[mount("/etc/resolv.conf", "/etc/hosts")],
    ),
    case("in place of shared memory", mounts=[mount("/dev/shm")]),
    case(
        "in place of kernel file systems", mounts=[mount("/sys/fs/cgroup"), mount("/dev/mqueue/"), mount("/proc/sys")]
    ),
    case("in place of /proc and /sys", mounts=[mount("/proc"), mount("/sys", "/sys")]),
    case("in place of all of /dev", mounts=[mount("/dev", "/dev")]),
    case("in place of /dev, not clean", mounts=[mount("/dev/", "/dev"), mount("/dev/pts", "/dev/pts")]),
    case("on /run", mounts=[mount("/run")]),
    case("on the root", mounts=[mount("/")]),
    case("private", mounts=[mount("/a", propagation=Propagation.PROPAGATION_PRIVATE)]),
    case("from the node", mounts=[mount("/a", propagation=SLAVE)]),
    case("both ways", mounts=[mount("/a", propagation=SHARED)]),
    case("both ways and from the node", mounts=[mount("/a", propagation=SHARED), mount("/b", propagation=SLAVE)]),
    case("from the node and both ways", mounts=[mount("/a", propagation=SLAVE), mount("/b", propagation=SHARED)]),
    case("from the node, of what isn't shared", mounts=[mount("/a", "/proc", propagation=SLAVE)]),
    case("both ways, of what isn't shared", mounts=[mount("/a", "/proc", propagation=SHARED)]),
    case("an unknown propagation", mounts=[mount("/a", propagation=Propagation(9))]),
    case("read-only all the way down", mounts=[mount("/a", readonly=True, recursive_read_only=True)]),
    case("read-only all the way down, but writable", mounts=[mount("/a", recursive_read_only=True)]),
    case(
        "read-only all the way down, and both ways",
        mounts=[mount("/a", readonly=True, recursive_read_only=True, propagation=SHARED)],
    ),
    case("relabelled", mounts=[mount("/a", selinux_relabel=True)]),
    case("many", mounts=[mount(f"/m/{number}") for number in range(40)]),
)
