"""The nodes of the comparison: further handlers on both, and one with containerd's settings turned round."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cri_shim.linux import cgroups, selinux
from integration.differential.case import PLAIN, TURNED
from integration.harness.assembly import running_node
from integration.harness.containerd import Changes
from integration.harness.node import Bind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode

_QUICK: Final = "crun"  # takes a quarter of runc's time, and a spec doesn't depend on which it is
UNIFIED: Final = cgroups.unified()
_FILES: Final = "/etc/differential"
SECCOMP: Final = f"{_FILES}/seccomp.json"
_BASE: Final = f"{_FILES}/base.json"
_BLOCKIO: Final = f"{_FILES}/blockio.yaml"
_DISK: Final = "/dev/differential/disk"  # one of the host's, where it has any
_RUNC: Final = f"{_FILES}/runc"

# What makes no sense is left out, and what stands later takes the place of what stands earlier.
_BLOCKIO_CLASSES: Final = """
Classes:
  fast:
  - Weight: 80
  - Weight: 500
  - Devices: [/dev/differential/*, /dev/no/such]
    Weight: "40"
    ThrottleReadBps: 50M
    ThrottleWriteBps: 1.5Mi
    ThrottleReadIOPS: 1e3
    ThrottleWriteIOPS: 2k
  - Devices: ["/dev/differential/d?sk"]
    ThrottleReadBps: 0
    ThrottleWriteIOPS: many
  - ThrottleReadBps: 1
  - Weight: 5000
  empty: []
  nothing:
"""

# runc as a systemd handler calls it, on a node without systemd
_WITHOUT_SYSTEMD: Final = """#!/bin/sh
for argument; do
  shift
  [ "$argument" = --systemd-cgroup ] || set -- "$@" "$argument"
done
exec runc "$@"
"""

_SECCOMP_PROFILE: Final = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "defaultErrnoRet": 5,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
    "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "syscalls": [
        {
            "names": ["mkdir", "mkdirat"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 13,
            "args": [{"index": 1, "value": 511, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"}],
        },
        {"names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS"},
    ],
}

_BASE_SPEC: Final[dict[str, Any]] = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 3, "gid": 4, "umask": 18, "additionalGids": [11]},
        "args": ["ignored"],
        "env": ["BASE=1", "PATH=/base", "HOSTNAME=base"],
        "cwd": "/base",
        "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"],
                         "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 2048, "soft": 1024}],
        "noNewPrivileges": True,
        "oomScoreAdj": 17,
        "apparmorProfile": "base-profile",
        "selinuxLabel": "base-label",
        "consoleSize": {"height": 24, "width": 80},
        "execCPUAffinity": {"initial": "0", "final": "0-1"},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3},
        "scheduler": {"policy": "SCHED_DEADLINE", "nice": 1, "priority": 2, "flags": ["SCHED_FLAG_RESET_ON_FORK"],
                      "runtime": 3, "deadline": 4, "period": 5},
    },
    "root": {"path": "base", "readonly": True},
    "hostname": "base",
    "domainname": "base.example",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/base", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
        {"destination": "/run", "type": "tmpfs", "source": "tmpfs"},
        {
            "destination": "/mapped",
            "type": "bind",
            "source": "/tmp",
            "options": ["rbind", "idmap"],
            "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
            "gidMappings": [{"containerID": 0, "hostID": 3, "size": 4}],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
    ],
    "hooks": {
        "prestart": [{"path": "/bin/true"}],
        "createRuntime": [{"path": "/bin/true", "args": ["true", ""]}],
        "createContainer": [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5}],
        "startContainer": [{"path": "/bin/true", "timeout": 0}],
        "poststart": [{"path": "/bin/true"}],
        "poststop": [],
    },
    "annotations": {"base": "kept", "io.kubernetes.cri.container-type": "overwritten"},
    "linux": {
        "sysctl": {"net.core.somaxconn": "64"},
        "resources": {
            "devices": [{"allow": False, "access": "rwm"},
                        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"}],
            "memory": {"limit": 1 << 28, "reservation": 1 << 27, "swap": 1 << 29, "kernel": 1 << 26, "kernelTCP": 5,
                       "swappiness": 1, "disableOOMKiller": True, "useHierarchy": True, "checkBeforeUpdate": True},
            "cpu": {"shares": 7, "burst": 1, "quota": 9, "period": 8, "realtimeRuntime": 2, "realtimePeriod": 3,
                    "cpus": "0-1", "mems": "0", "idle": 1},
            "pids": {"limit": 100},
            "blockIO": {
                "weight": 10,
                "leafWeight": 11,
                "weightDevice": [{"major": 8, "minor": 0, "weight": 12, "leafWeight": 13}],
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
                "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 601}],
                "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 602}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 603}],
            },
            "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
            "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
            "hugepageLimits": [{"pageSize": "1GB", "limit": 1}],
            "unified": {"memory.low": "1"},
        },
        "cgroupsPath": "/elsewhere",
        "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "network"}],
        "devices": [{"path": "/dev/base", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}],
        "maskedPaths": ["/proc/base"],
        "readonlyPaths": ["/proc/sys"],
        "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x.sock", "listenerMetadata": "m"},
        "rootfsPropagation": "slave",
        "mountLabel": "base-mount-label",
        "intelRdt": {"closID": "base", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "enableCMT": True,
                     "enableMBM": True},
        "personality": {"domain": "LINUX32", "flags": []},
        "uidMappings": [{"containerID": 0, "hostID": 7, "size": 8}],
        "gidMappings": [{"containerID": 0, "hostID": 7, "size": 8}],
        "noSuchField": {"a": 1},
        "timeOffsets": {"monotonic": {"secs": 1}, "boottime": {"secs": -1, "nanosecs": 2}},
    },
    "noSuchSection": [1],
}  # fmt: skip

# Written in YAML and in JSON: what device nodes leave out, whose edits come when, what is overridden, by priority.
CDI_DIRECTORIES: Final = ("/etc/cdi", "/var/run/cdi")
_CDI: Final = {
    "0/all.yaml": """---
cdiVersion: "0.7.0"
kind: vendor.example/thing
annotations: {made.by: hand}
containerEdits:
  env: ["SPEC=thing", "BASE=cdi"]
  mounts: [{hostPath: /etc, containerPath: /thing/etc, options: [ro, bind]}]
devices:
- name: 0
  containerEdits:
    env: [THING=0]
    deviceNodes: [{path: /dev/thing0, hostPath: /dev/null, permissions: rw, fileMode: 0640, uid: 3, gid: 4}]
- name: whole
  containerEdits:
    env: [THING=whole, "SPEC=device"]
    deviceNodes:
    - {path: /dev/full}
    - {path: /dev/thing0, type: c, major: 9, minor: 8}
    - {path: /dev/fifo, type: p}
    mounts:
    - {hostPath: /usr, containerPath: /a/b/c, type: none, options: [rbind]}
    - {hostPath: /usr, containerPath: /proc}
    hooks:
    - {hookName: prestart, path: /bin/true, args: ["true"], env: [A=b], timeout: 3}
    - {hookName: createRuntime, path: /bin/true}
    - {hookName: createContainer, path: /bin/true}
    - {hookName: startContainer, path: /bin/true}
    - {hookName: poststart, path: /bin/true}
    - {hookName: poststop, path: /bin/true}
    additionalGids: [5, 0, 5, 6]
    intelRdt: {closID: things, l3CacheSchema: "L3:0=f", memBwSchema: "MB:0=10", enableCMT: true, enableMBM: true}
- {name: missing, containerEdits: {deviceNodes: [{path: /dev/no-such}]}}
- {name: a-directory, containerEdits: {deviceNodes: [{path: /dev/net}]}}
- {name: another-type, containerEdits: {deviceNodes: [{path: /dev/null, type: b}]}}
""",
    "0/one.json": '{"cdiVersion":"0.3.0","kind":"vendor.example/twice","devices":['
    '{"name":"a","containerEdits":{"env":["TWICE=one"]}},{"name":"b","containerEdits":{"env":["B=one"]}}]}',
    "0/two.json": '{"cdiVersion":"0.3.0","kind":"vendor.example/twice","devices":['
    '{"name":"a","containerEdits":{"env":["TWICE=two"]}}]}',
    "1/later.yaml": "{cdiVersion: 0.3.0, kind: vendor.example/twice, devices: "
    "[{name: b, containerEdits: {env: [B=later]}}]}",
    "0/newer.yaml": "{cdiVersion: 0.3.0, kind: vendor.example/newer, devices: "
    "[{name: a, containerEdits: {additionalGids: [1]}}]}",
    "0/unknown.yaml": "{cdiVersion: 0.3.0, kind: vendor.example/unknown, devices: "
    "[{name: a, containerEdits: {env: [A=1], elsewhere: 1}}]}",
    "0/not.txt": "{cdiVersion: 0.3.0, kind: vendor.example/txt, devices: [{name: a, containerEdits: {env: [A=1]}}]}",
    "0/damaged.yaml": "kind: [",
    "0/below/deep.yaml": "{cdiVersion: 0.3.0, kind: vendor.example/deep, devices: "
    "[{name: a, containerEdits: {env: [A=1]}}]}",
}

_RUNTIMES: Final = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes"
_HANDLERS: Final[dict[str, dict[str, Any]]] = {
    "annotated": {
        "pod_annotations": ["pod.example/*", "both"],
        "container_annotations": ["container.example/?", "both", "[a-c]x"],
    },
    "based": {"base_runtime_spec": _BASE},
    **({"writable": {"cgroup_writable": True}} if UNIFIED else {}),  # containerd refuses to start with it on v1
    "deviceless": {"privileged_without_host_devices": True},
    "allowed": {
        "privileged_without_host_devices": True,
        "privileged_without_host_devices_all_devices_allowed": True,
    },
    "native": {"snapshotter": "native"},
    "networked": {"cni_conf_dir": "/etc/cni/net.d", "cni_max_conf_num": 1},
    "path": {"runtime_path": "/usr/bin/containerd-shim-runc-v2"},
    "untrusted": {},
}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "systemd": {"SystemdCgroup": True, "BinaryName": _RUNC},
    "optioned": {
        "NoNewKeyring": True,
        "IoUid": 1,
        "IoGid": 2,
        "Root": "/run/optioned",
        "CriuImagePath": "/var/criu",
        "CriuWorkPath": "/var/criu-work",
    },
}
_TURNED: Final[dict[str, Any]] = {
    "restrict_oom_score_adj": True,
    "enable_unprivileged_ports": False,
    "enable_unprivileged_icmp": False,
    "device_ownership_from_security_context": True,
    "disable_proc_mount": True,
    "unset_seccomp_profile": "runtime/default",
    "disable_apparmor": True,
    "disable_hugetlb_controller": False,
    "netns_mounts_under_state_dir": True,
    "ignore_image_defined_volumes": True,
    **({} if selinux.enabled() else {"enable_selinux": True}),  # levels are drawn by lot
}


@contextlib.contextmanager
def running(name: str) -> Iterator[RunningNode]:
    """A node with both endpoints, configured as `name` says."""
    with tempfile.TemporaryDirectory(prefix="differential-") as directory:
        _write(Path(directory))
        with running_node(
            shim=True,
            peer=True,
            binds=[Bind(directory, _FILES), *_cdi_binds(directory), *_disk()],
            changes=Changes(_QUICK, {PLAIN: {}, TURNED: _TURNED}[name], more=_handlers() + _classes()),
        ) as node:
            yield node


def _write(directory: Path) -> None:
    (directory / "seccomp.json").write_text(json.dumps(_SECCOMP_PROFILE))
    (directory / "base.json").write_text(json.dumps(_BASE_SPEC))
    (directory / "blockio.yaml").write_text(_BLOCKIO_CLASSES)
    (directory / "runc").write_text(_WITHOUT_SYSTEMD)
    (directory / "runc").chmod(0o755)


def _cdi_binds(directory: str) -> Iterator[Bind]:
    for name, text in _CDI.items():
        path = Path(directory, "cdi", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for priority, place in enumerate(CDI_DIRECTORIES):
        yield Bind(f"{directory}/cdi/{priority}", place)


def _disk() -> Iterator[Bind]:
    """A block device: loop devices come and go, but not while somebody looks at one."""
    disks = sorted(path for path in Path("/dev").iterdir() if path.is_block_device())
    yield from (Bind(str(path), _DISK) for path in disks[:1])


def _classes() -> str:
    return f"[plugins.'io.containerd.service.v1.tasks-service']\nblockio_config_file = {json.dumps(_BLOCKIO)}\n"


def _handlers() -> str:
    tables = []
    for name in (*_HANDLERS, *_OPTIONS):
        settings = {"runtime_type": "io.containerd.runc.v2", **_HANDLERS.get(name, {})}
        tables += [f"[{_RUNTIMES}.{name}]", *_lines(settings)]
        if name in _OPTIONS:
            tables += [f"[{_RUNTIMES}.{name}.options]", *_lines(_OPTIONS[name])]
    return "\n".join(tables) + "\n"


def _lines(settings: dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
