"""The spec that every container's starts from: containerd's default for Linux.

Source: containerd `pkg/oci/spec.go` (`populateDefaultUnixSpec`), `pkg/oci/mounts.go`.
"""

from __future__ import annotations

from cri_shim.oci.spec import (
    Capabilities,
    DeviceRule,
    Linux,
    Mount,
    Namespace,
    Process,
    Resources,
    Rlimit,
    Root,
    Spec,
    User,
)

CGROUP_ROOT = "/k8s.io"
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
_RLIMIT_FILES = 1024


def default_mounts() -> list[Mount]:
    """What a container's root file system needs besides the image, in order; without /run, which the CRI drops."""
    return [
        Mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        Mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        Mount(
            "/dev/pts",
            "devpts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        Mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        Mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        Mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
    ]


def default_spec(container_id: str) -> Spec:
    """Containerd's default spec, without what the CRI drops at once: /run, the file limit."""
    names = list(CAPABILITIES)
    return Spec(
        process=Process(
            user=User(0, 0),
            no_new_privileges=True,
            capabilities=Capabilities(bounding=names, effective=list(names), permitted=list(names)),
        ),
        root=Root("rootfs"),
        mounts=default_mounts(),
        linux=Linux(
            masked_paths=list(MASKED_PATHS),
            readonly_paths=list(READONLY_PATHS),
            cgroups_path=f"{CGROUP_ROOT}/{container_id}",
            resources=Resources(devices=[DeviceRule(allow=False, access="rwm")]),
            namespaces=[Namespace(kind) for kind in ("pid", "ipc", "uts", "mount", "network")],
        ),
    )


def default_rlimits() -> list[Rlimit]:
    """The limit that containerd's default has and the CRI drops."""
    return [Rlimit("RLIMIT_NOFILE", _RLIMIT_FILES, _RLIMIT_FILES)]
