from __future__ import annotations

import json

import msgspec
import pytest

from cri_shim.oci import defaults
from cri_shim.oci.linux_spec import BlockIo, Cpu, DeviceRule, Linux, Memory, Resources, Seccomp, ThrottleDevice
from cri_shim.oci.spec import CpuAffinity, Hook, Hooks, IoPriority, Mount, Process, Root, Spec, User, from_json, to_json


def test_the_default_is_containerds() -> None:
    names = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ]  # fmt: skip
    document = json.loads(to_json(defaults.default_spec("c1")))
    assert document.pop("mounts")[-1] == {
        "destination": "/sys",
        "type": "sysfs",
        "source": "sysfs",
        "options": ["nosuid", "noexec", "nodev", "ro"],
    }
    assert document == {
        "ociVersion": "1.2.1",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "capabilities": {"bounding": names, "effective": names, "permitted": names},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs"},
        "linux": {
            "cgroupsPath": "/k8s.io/c1",
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": name} for name in ("pid", "ipc", "uts", "mount", "network")],
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
        },
    }


def test_empty_values_are_left_out_as_go_does_but_for_those_it_always_writes() -> None:
    assert to_json(Spec()) == b'{"ociVersion":"1.2.1"}'
    assert json.loads(to_json(Process())) == {"user": {"uid": 0, "gid": 0}, "cwd": "/"}
    assert json.loads(to_json(Process(user=User(0, 0, additional_gids=[]), args=[], cwd=""))) == {
        "user": {"uid": 0, "gid": 0},
        "cwd": "",
    }
    assert json.loads(to_json(Resources(cpu=Cpu(), memory=Memory()))) == {"cpu": {}, "memory": {}}
    assert json.loads(to_json(DeviceRule(allow=False))) == {"allow": False}
    assert to_json(BlockIo()) == b"{}"


def test_a_pointer_to_zero_is_written() -> None:
    assert json.loads(to_json(Process(oom_score_adj=0)))["oomScoreAdj"] == 0
    assert json.loads(to_json(Cpu(shares=0, quota=0))) == {"shares": 0, "quota": 0}


def test_names_are_those_of_the_specification() -> None:
    document = {
        "ociVersion": "1.3.0",
        "process": {
            "user": {"uid": 1, "gid": 2, "umask": 18, "additionalGids": [2]},
            "cwd": "/",
            "terminal": True,
            "consoleSize": {"height": 24, "width": 80},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 2**64 - 1, "soft": 1024}],
            "scheduler": {"policy": "SCHED_FIFO", "priority": 1},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
            "execCPUAffinity": {"initial": "0"},
            "apparmorProfile": "a",
            "selinuxLabel": "b",
        },
        "root": {"path": "rootfs", "readonly": True},
        "hooks": {"createRuntime": [{"path": "/h", "timeout": 0}], "prestart": [{"path": "/p"}]},
        "linux": {
            "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
            "resources": {
                "memory": {"kernelTCP": 1, "disableOOMKiller": True, "checkBeforeUpdate": False},
                "pids": {"limit": 10},
                "blockIO": {
                    "weight": 10,
                    "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 5}],
                    "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 6}],
                },
                "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
                "network": {"classID": 1},
                "rdma": {"mlx5_1": {"hcaHandles": 3}},
            },
            "netDevices": {"eth1": {"name": "data0"}},
            "intelRdt": {"closID": "guaranteed", "l3CacheSchema": "L3:0=f", "enableMonitoring": True},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0"},
            "personality": {"domain": "LINUX"},
            "timeOffsets": {"monotonic": {"secs": 1}},
            "mountLabel": "m",
        },
    }
    assert json.loads(to_json(from_json(json.dumps(document).encode(), Spec))) == document


def test_a_null_is_an_absent_key() -> None:
    text = b'{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":null}]}'
    assert from_json(text, Seccomp).syscalls[0].args == []
    assert from_json(b'{"ociVersion":"1.0","process":null,"mounts":null}', Spec).mounts == []


def test_keys_of_other_systems_are_skipped() -> None:
    assert from_json(b'{"ociVersion":"1.0","windows":{"layerFolders":[]}}', Spec) == Spec(oci_version="1.0")


@pytest.mark.parametrize("text", [b"", b"[]", b'{"mounts":[{"destination":1}]}', b'{"linux":{"devices":[{}]}}'])
def test_what_is_no_spec_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        from_json(text, Spec)


def test_values_survive_being_written_and_read() -> None:
    spec = Spec(
        process=Process(io_priority=IoPriority("IOPRIO_CLASS_RT", 1), exec_cpu_affinity=CpuAffinity(final="1-2")),
        root=Root("rootfs"),
        mounts=[Mount("/a", options=["ro"])],
        hooks=Hooks(poststop=[Hook("/x", args=["x"])]),
        annotations={"k": "v"},
        linux=Linux(resources=Resources(block_io=BlockIo(throttle_read_bps_device=[ThrottleDevice(8, 0, 1)]))),
    )
    assert from_json(to_json(spec), Spec) == spec
