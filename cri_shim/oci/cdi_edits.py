"""What CDI devices change in a container's spec, on top of everything else.

Source: CDI's SPEC.md ("containerEdits") and `pkg/cdi/container-edits.go`, whose order and replacements these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cri_shim.errors import InvalidArgument
from cri_shim.oci.linux_spec import Device, DeviceRule, IntelRdt, Linux, Resources
from cri_shim.oci.paths import clean
from cri_shim.oci.spec import Hook, Hooks, Mount, Process, Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cri_shim.oci.cdi_spec import CdiHook, ContainerEdits, DeviceNode
    from cri_shim.oci.host_view import HostView

_LISTS = {
    "prestart": "prestart",
    "createRuntime": "create_runtime",
    "createContainer": "create_container",
    "startContainer": "start_container",
    "poststart": "poststart",
    "poststop": "poststop",
}
_ALL_ACCESS = "rwm"


@dataclass(frozen=True)
class CdiEdits:
    """All edits of a container, in order; its device nodes are whole."""

    parts: Sequence[ContainerEdits] = ()
    nodes: Sequence[DeviceNode] = ()


def completed(parts: Sequence[ContainerEdits], host: HostView) -> CdiEdits:
    """The edits, with the types and numbers that device nodes leave to the node's own.

    Raises InvalidArgument for a device that the node hasn't.
    """
    return CdiEdits(parts, [_whole(node, host) for part in parts for node in part.device_nodes])


def _whole(node: DeviceNode, host: HostView) -> DeviceNode:
    if node.type and (node.major or node.type == "p"):
        return node
    path = node.host_path or node.path
    try:
        found = host.device(path)
    except OSError as error:
        raise InvalidArgument(
            f"the CDI device node {node.path!r} is the node's {path!r}, which can't be had: {error.strerror or error}"
        ) from error
    if node.type and node.type != found.type:
        raise InvalidArgument(
            f"the CDI device node {node.path!r} has type {node.type!r}, but the node's {path!r} has {found.type!r}"
        )
    if node.major or found.type == "p":
        return msgspec.structs.replace(node, type=found.type)
    return msgspec.structs.replace(node, type=found.type, major=found.major, minor=found.minor)


def edited(spec: Spec, edits: CdiEdits) -> Spec:
    """The spec with all edits made."""
    if not edits.parts:
        return spec
    run, linux = spec.process or Process(), spec.linux or Linux()
    # What the process has already is there twice then, and runtimes let the last one win.
    env = {value.partition("=")[0]: value for part in edits.parts for value in part.env}
    gids = [gid for part in edits.parts for gid in part.additional_gids if gid]
    user = msgspec.structs.replace(run.user, additional_gids=list(dict.fromkeys([*run.user.additional_gids, *gids])))
    return msgspec.structs.replace(
        spec,
        process=msgspec.structs.replace(run, env=[*run.env, *env.values()], user=user),
        linux=_linux(linux, run, edits),
        mounts=_mounts(spec.mounts, edits.parts),
        hooks=_hooks(spec.hooks, [hook for part in edits.parts for hook in part.hooks]),
    )


def _linux(linux: Linux, run: Process, edits: CdiEdits) -> Linux:
    limits = linux.resources or Resources()
    devices = linux.devices
    for node in edits.nodes:
        devices = _with_device(devices, _device(node, run))
    rdt = next((part.intel_rdt for part in reversed(edits.parts) if part.intel_rdt is not None), None)
    return msgspec.structs.replace(
        linux,
        devices=devices,
        resources=msgspec.structs.replace(limits, devices=[*limits.devices, *_rules(edits.nodes)]),
        intel_rdt=linux.intel_rdt
        if rdt is None
        else IntelRdt(
            clos_id=rdt.clos_id,
            l3_cache_schema=rdt.l3_cache_schema,
            mem_bw_schema=rdt.mem_bw_schema,
            enable_cmt=rdt.enable_cmt,
            enable_mbm=rdt.enable_mbm,
        ),
    )


def _with_device(devices: list[Device], device: Device) -> list[Device]:
    """The devices with one more, in place of the first at its path."""
    there = next((place for place, one in enumerate(devices) if one.path == device.path), len(devices))
    left = [*devices[:there], *devices[there + 1 :]]
    if any(one.path == device.path for one in left):
        return [device if one.path == device.path else one for one in left]
    return [*left, device]


def _device(node: DeviceNode, run: Process) -> Device:
    """A node without an owner is the process's, as far as that isn't root."""
    return Device(
        path=node.path,
        type=node.type,
        major=node.major,
        minor=node.minor,
        file_mode=node.file_mode,
        uid=node.uid if node.uid is not None else run.user.uid or None,
        gid=node.gid if node.gid is not None else run.user.gid or None,
    )


def _rules(nodes: Iterable[DeviceNode]) -> list[DeviceRule]:
    return [
        DeviceRule(
            allow=True, type=node.type, major=node.major, minor=node.minor, access=node.permissions or _ALL_ACCESS
        )
        for node in nodes
        if node.type in ("b", "c")
    ]


def _mounts(mounts: list[Mount], parts: Iterable[ContainerEdits]) -> list[Mount]:
    """The mounts and the edits' own, each in place of one at its path; outer before inner."""
    added = [mount for part in parts for mount in part.mounts]
    if not added:
        return mounts
    found = list(mounts)
    for mount in added:
        there = next((one for one in found if one.destination == mount.container_path), None)
        if there is not None:
            found.remove(there)
        found.append(Mount(mount.container_path, mount.type, mount.host_path, list(mount.options)))
    return sorted(found, key=lambda mount: clean(mount.destination).count("/"))


def _hooks(hooks: Hooks | None, added: Sequence[CdiHook]) -> Hooks | None:
    if not added:
        return hooks
    hooks = hooks or Hooks()
    lists = {name: list(getattr(hooks, name)) for name in _LISTS.values()}
    for hook in added:
        lists[_LISTS[hook.hook_name]].append(Hook(hook.path, list(hook.args), list(hook.env), hook.timeout))
    return msgspec.structs.replace(hooks, **lists)
