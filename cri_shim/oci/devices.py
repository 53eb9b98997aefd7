"""Devices of a container: those asked for, and the host's for a privileged one.

Source: containerd `pkg/oci/utils_unix.go` (`getDevices`), `internal/cri/opts/spec_linux_opts.go` (`WithDevices`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument
from cri_shim.oci import checks
from cri_shim.oci.linux_spec import Device, DeviceRule
from cri_shim.oci.paths import join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.oci.host_view import HostDevice, HostView
    from cri_shim.oci.policy import Policy

_PERMISSIONS = "rwm"
ALL_ALLOWED = DeviceRule(allow=True, access="rwm")


@dataclass(frozen=True)
class Devices:
    """Nodes to make, and rules of the device cgroup for them."""

    nodes: list[Device]
    rules: list[DeviceRule]


def check_fields(field: str, device: cri.Device) -> None:
    """Raise InvalidArgument for a value that says nothing; `field` is where the device is in the request."""
    checks.absolute(f"{field}.container_path", device.container_path)
    checks.absolute(f"{field}.host_path", device.host_path)
    if set(device.permissions) - set(_PERMISSIONS):
        raise InvalidArgument(
            f"{field}.permissions is {device.permissions!r:.100}: they are r (read), w (write) and m (mknod)"
        )


def wanted_devices(
    wanted: Iterable[cri.Device], context: cri.LinuxContainerSecurityContext, policy: Policy, host: HostView
) -> Devices:
    """The devices asked for, a directory's one by one, and the rules that let them be used.

    Raises InvalidArgument for what is neither a device nor a directory.
    """
    owner = _owner(context) if policy.device_ownership_from_security_context else (None, None)
    found = [(item, device) for item in wanted for device in _found(item, host)]
    return Devices(
        [_device(device, _inside(item, device), owner) for item, device in found],
        [
            DeviceRule(allow=True, type=device.type, major=device.major, minor=device.minor, access=item.permissions)
            for item, device in found
        ],
    )


def host_devices(host: HostView) -> list[Device]:
    """All devices of the node, for a privileged container. Raises InvalidArgument when they can't be listed."""
    try:
        return [_device(found, found.path, (None, None)) for found in host.all_devices()]
    except OSError as error:
        raise InvalidArgument(
            f"the node's devices, which a privileged container gets, can't be listed: {error} "
            "(privileged_without_host_devices leaves them out)"
        ) from error


def _owner(context: cri.LinuxContainerSecurityContext) -> tuple[int | None, int | None]:
    """The uid and gid that take the place of the host's; root's don't."""
    user, group = context.run_as_user, context.run_as_group
    return (user.value or None if user else None), (group.value or None if group else None)


def _found(item: cri.Device, host: HostView) -> list[HostDevice]:
    try:
        return host.devices(item.host_path)
    except OSError as error:
        raise InvalidArgument(
            f"config.devices: host_path {item.host_path!r} can't be had: {error.strerror or error}; it must be a "
            "device node, or a directory of them"
        ) from error


def _inside(item: cri.Device, found: HostDevice) -> str:
    """Where in the container: at the very path asked for, a directory's below it; where none is, as on the host."""
    if not item.container_path:
        return found.path
    return join(item.container_path, found.below) if found.below else item.container_path


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
