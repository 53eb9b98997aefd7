"""Each value of a ContainerConfig that can't be is refused: by field, with the value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.check import check_config
from cri_shim.errors import InvalidArgument

CONTEXT = "config.linux.security_context"
OPTIONS = "config.linux.security_context.namespace_options"
SELINUX = "config.linux.security_context.selinux_options"
Mode = cri.NamespaceMode


def options(**fields: Any) -> dict[str, Any]:
    return secured(namespace_options=cri.NamespaceOption(**fields))


def secured(**fields: Any) -> dict[str, Any]:
    return {"linux": cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext(**fields))}


@pytest.mark.parametrize(
    ("fields", "field", "value", "allowed"),
    [
        ({"command": ["sh", "a\0b"]}, "config.command[1]", r"'a\x00b'", "NUL"),
        ({"args": ["\0"]}, "config.args[0]", r"'\x00'", "NUL"),
        ({"working_dir": "tmp"}, "config.working_dir", "'tmp'", "absolute path"),
        ({"working_dir": "/\0"}, "config.working_dir", r"'/\x00'", "NUL"),
        ({"log_path": "a\0b"}, "config.log_path", r"'a\x00b'", "NUL"),
        ({"envs": [cri.KeyValue("A", b""), cri.KeyValue("", b"x")]}, "config.envs[1].key", "''", "not empty"),
        ({"envs": [cri.KeyValue("A=B", b"x")]}, "config.envs[0].key", "'A=B'", "no '='"),
        ({"envs": [cri.KeyValue("A\0", b"x")]}, "config.envs[0].key", r"'A\x00'", "NUL"),
        ({"envs": [cri.KeyValue("A", b"x\0y")]}, "config.envs[0].value", "'A'", "NUL"),
        ({"labels": {"k" * 4097: ""}}, "config.labels['kkk", "4097 bytes", "at most 4096"),
        (secured(selinux_options=cri.SeLinuxOption(level="x")), f"{SELINUX}.level", "'x'", "like s0"),
        (secured(selinux_options=cri.SeLinuxOption(type='a",b="')), f"{SELINUX}.type", """'a",b="'""", "letters"),
        ({"mounts": [cri.Mount(propagation=9)]}, "config.mounts[0].propagation", "9", "PROPAGATION_PRIVATE"),  # type: ignore[arg-type]
        ({"devices": [cri.Device(container_path="x")]}, "config.devices[0].container_path", "'x'", "absolute path"),
        ({"devices": [cri.Device(host_path="x")]}, "config.devices[0].host_path", "'x'", "absolute path"),
        ({"devices": [cri.Device(permissions="rx")]}, "config.devices[0].permissions", "'rx'", "m (mknod)"),
        (secured(masked_paths=["/a", "b"]), f"{CONTEXT}.masked_paths[1]", "'b'", "absolute path"),
        (secured(readonly_paths=["b"]), f"{CONTEXT}.readonly_paths[0]", "'b'", "absolute path"),
        ({"stop_signal": 999}, "config.stop_signal", "999", "its enum"),
        (options(pid=9), f"{OPTIONS}.pid", "9", "POD or CONTAINER or NODE or TARGET"),
        (options(pid=Mode.TARGET), f"{OPTIONS}.target_id", "empty", "a running container"),
        (options(network=Mode.CONTAINER), f"{OPTIONS}.network", "CONTAINER", "POD or NODE"),
        (options(ipc=Mode.CONTAINER), f"{OPTIONS}.ipc", "CONTAINER", "POD or NODE"),
    ],
)
def test_what_can_not_be_is_refused(fields: dict[str, Any], field: str, value: str, allowed: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_config(cri.ContainerConfig(**fields))
    for part in (field, value, allowed):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"command": ["sh", "-c", "a\nb"], "args": [""], "working_dir": "/a b", "log_path": "x/0.log"},
        {"envs": [cri.KeyValue("a b", b"\xff="), cri.KeyValue("\xe4", b"")], "labels": {"k": "v"}},
        {"stop_signal": cri.Signal.SIGRTMINPLUS3},
        options(pid=Mode.TARGET, target_id="abc"),
        options(pid=Mode.NODE, network=Mode.NODE, ipc=Mode.NODE),
    ],
)
def test_what_can_be_is_not(fields: dict[str, Any]) -> None:
    check_config(cri.ContainerConfig(**fields))
