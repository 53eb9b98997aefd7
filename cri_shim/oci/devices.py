"""Devices of a container: those asked for, and the host's for a privileged one."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument
from cri_shim.oci.spec import Device, DeviceRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.oci.host_view import HostDevice, HostView

ALL_ALLOWED = DeviceRule(allow=True, access="rwm")


def wanted_devices(
    wanted: Iterable[cri.Device], host: HostView, owner: tuple[int | None, int | None]
) -> tuple[list[Device], list[DeviceRule]]:
    """The devices asked for, a directory's one by one, and the rules that let them be used.

    `owner` takes the place of the host's uid and gid where it is not None. InvalidArgument for what is no device.
    """
    devices, rules = [], []
    for item in wanted:
        for found in _found(item, host):
            devices.append(_device(found, _inside(item, found), owner))
            rules.append(DeviceRule(True, found.type, found.major, found.minor, item.permissions))  # noqa: FBT003
    return devices, rules


def _found(item: cri.Device, host: HostView) -> list[HostDevice]:
    try:
        found = host.devices(item.host_path)
    except OSError as error:
        raise InvalidArgument(f"config.devices: host_path {item.host_path!r}: {error.strerror or error}") from error
    if not found:
        raise InvalidArgument(f"config.devices: host_path {item.host_path!r} is not a device node, nor has any in it")
    return found


def _inside(item: cri.Device, found: HostDevice) -> str:
    """Where in the container: at the path asked for, or, of a directory's, below it."""
    if found.path == item.host_path or not found.path.startswith(item.host_path.rstrip("/") + "/"):
        return item.container_path
    return posixpath.join(item.container_path, posixpath.relpath(found.path, item.host_path))


def host_devices(host: HostView) -> list[Device]:
    """All devices of the node, for a privileged container."""
    return [_device(found, found.path, (None, None)) for found in host.all_devices()]


def _device(found: HostDevice, path: str, owner: tuple[int | None, int | None]) -> Device:
    uid, gid = owner
    return Device(
        path=path,
        type=found.type,
        major=found.major,
        minor=found.minor,
        file_mode=found.mode,
        uid=found.uid if uid is None else uid,
        gid=found.gid if gid is None else gid,
    )
