"""What every container's spec starts from: containerd's default for Linux, without what the CRI drops at once.

The CRI drops /run, which images bring, and the limit of 1024 open files, so that the runtime's own limits hold.
Source: containerd `pkg/oci/spec.go` (`populateDefaultUnixSpec`), `pkg/oci/mounts.go`.
"""

from __future__ import annotations

from cri_shim.oci.cgroup_path import cgroups_path
from cri_shim.oci.linux_spec import DeviceRule, Linux, Namespace, Resources
from cri_shim.oci.spec import Capabilities, Mount, Process, Root, Spec

ROOTFS = "rootfs"
CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
        "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    )
)  # fmt: skip
MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/sys/devices/virtual/powercap", "/proc/scsi",
)  # fmt: skip
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
NAMESPACES = ("pid", "ipc", "uts", "mount", "network")
_MOUNTS = (
    Mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
    Mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    Mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    Mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    Mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
    Mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
)


def default_mounts() -> list[Mount]:
    """What a container's root file system needs besides the image, in order."""
    return list(_MOUNTS)


def default_capabilities() -> Capabilities:
    """The fourteen capabilities that a container has unless something else is asked for."""
    return Capabilities(bounding=list(CAPABILITIES), effective=list(CAPABILITIES), permitted=list(CAPABILITIES))


def default_process() -> Process:
    """A process as root, with the default capabilities."""
    return Process(no_new_privileges=True, capabilities=default_capabilities())


def default_linux(container_id: str) -> Linux:
    """New namespaces, no devices but the runtime's own, kernel files masked."""
    return Linux(
        masked_paths=list(MASKED_PATHS),
        readonly_paths=list(READONLY_PATHS),
        cgroups_path=cgroups_path("", container_id),
        resources=Resources(devices=[DeviceRule(allow=False, access="rwm")]),
        namespaces=[Namespace(kind) for kind in NAMESPACES],
    )


def default_spec(container_id: str) -> Spec:
    """The default, whole."""
    return Spec(
        process=default_process(),
        root=Root(ROOTFS),
        mounts=default_mounts(),
        linux=default_linux(container_id),
    )
