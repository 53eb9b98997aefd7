"""A CDI specification, typed and checked: which devices a vendor has, and what each changes in a container's spec.

Source: CDI's SPEC.md and `schema/`, versions 0.3.0 to 1.0.0, with the checks of its `pkg/cdi` and `specs-go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from cri_shim.errors import InvalidArgument
from cri_shim.oci.cdi import KIND, NAME
from cri_shim.oci.spec import without_nulls

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0")
_EARLIEST = "0.3.0"
_MAX_ANNOTATIONS = 256 << 10  # bytes, of keys and values together
_MAX_CLOS_ID = 4096

Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class Text(str):
    """A string that may stand as a number in a document: a device's name is often one."""

    __slots__ = ()


class _Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A part of the document."""


class DeviceNode(_Part, frozen=True):
    """A device node; what is missing is the host's, at `host_path` or else at `path`."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: Id | None = None
    permissions: str = ""
    uid: Id | None = None
    gid: Id | None = None


class CdiMount(_Part, frozen=True):
    """A mount."""

    host_path: str
    container_path: str
    options: list[str] = []
    type: str = ""


class CdiHook(_Part, frozen=True):
    """A program that the runtime runs; its time-out in seconds."""

    hook_name: str
    path: str
    args: list[str] = []
    env: list[str] = []
    timeout: int | None = None


class CdiIntelRdt(_Part, frozen=True):
    """A class of cache and memory bandwidth."""

    clos_id: str = msgspec.field(name="closID", default="")
    l3_cache_schema: str = ""
    mem_bw_schema: str = ""
    enable_cmt: bool = msgspec.field(name="enableCMT", default=False)
    enable_mbm: bool = msgspec.field(name="enableMBM", default=False)


class ContainerEdits(_Part, frozen=True):
    """What is changed in a container's spec."""

    env: list[str] = []
    device_nodes: list[DeviceNode] = []
    hooks: list[CdiHook] = []
    mounts: list[CdiMount] = []
    intel_rdt: CdiIntelRdt | None = None
    additional_gids: list[Id] = []


class CdiDevice(_Part, frozen=True):
    """One device of a kind."""

    name: Text
    container_edits: ContainerEdits = ContainerEdits()
    annotations: dict[str, Text] = {}


class CdiSpec(_Part, frozen=True):
    """The document: `container_edits` come with any of its devices, once."""

    version: str = msgspec.field(name="cdiVersion")
    kind: str
    devices: list[CdiDevice] = []
    container_edits: ContainerEdits = ContainerEdits()
    annotations: dict[str, Text] = {}

    def edits(self) -> Iterator[ContainerEdits]:
        """All edits, the document's own first."""
        yield self.container_edits
        yield from (device.container_edits for device in self.devices)


HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_NODE_TYPES = ("", "b", "c", "u", "p")


def parse(document: object) -> CdiSpec:
    """The specification in a document of plain values. Raises InvalidArgument, saying what is wrong and where."""
    try:
        spec = msgspec.convert(without_nulls(document), CdiSpec, dec_hook=text)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error)) from error
    _check_version(spec)
    _check_kind(spec)
    for edits in spec.edits():
        _check_edits(edits)
    return spec


def text(kind: type, value: object) -> object:
    """A `Text` for msgspec. Raises TypeError for what is neither a string nor written like one."""
    if kind is Text and isinstance(value, (str, int, float)):
        return Text(str(value).lower() if isinstance(value, bool) else value)
    raise TypeError(f"expected a string, got {value!r:.80}")


def _check_version(spec: CdiSpec) -> None:
    version = spec.version.removeprefix("v")
    if version not in VERSIONS:
        raise InvalidArgument(f"cdiVersion is {spec.version!r}: it must be one of {', '.join(VERSIONS)}")
    needed = max(_needed(spec), default=_EARLIEST)
    if version < needed:  # each part has one digit
        raise InvalidArgument(f"cdiVersion is {spec.version!r}, but what it has takes {needed}")


def _needed(spec: CdiSpec) -> Iterator[str]:
    """The versions that brought what the document has."""
    for edits in spec.edits():
        if edits.intel_rdt is not None or edits.additional_gids:
            yield "0.7.0"
        if any(node.host_path for node in edits.device_nodes):
            yield "0.5.0"
        if any(mount.type for mount in edits.mounts):
            yield "0.4.0"
    if spec.annotations or any(device.annotations for device in spec.devices) or "." in spec.kind.partition("/")[2]:
        yield "0.6.0"
    if any(device.name[:1].isdecimal() for device in spec.devices):
        yield "0.5.0"


def _check_kind(spec: CdiSpec) -> None:
    if not KIND.fullmatch(spec.kind):
        raise InvalidArgument(f"kind is {spec.kind!r}: it must be vendor/class")
    if not spec.devices:
        raise InvalidArgument("devices is empty: there must be one at least")
    _check_annotations("annotations", spec.annotations)
    seen: set[str] = set()
    for index, device in enumerate(spec.devices):
        if not NAME.fullmatch(device.name):
            raise InvalidArgument(
                f"devices[{index}].name is {device.name!r}: it must begin and end with a letter or digit, and may have "
                "'_', '-', '.' and ':' between"
            )
        if device.name in seen:
            raise InvalidArgument(f"devices[{index}].name is {device.name!r}, and so is another's")
        if device.container_edits == ContainerEdits():
            raise InvalidArgument(f"devices[{index}].containerEdits, of {device.name!r}, is empty")
        _check_annotations(f"devices[{index}].annotations", device.annotations)
        seen.add(device.name)


def _check_annotations(field: str, annotations: dict[str, Text]) -> None:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > _MAX_ANNOTATIONS:
        raise InvalidArgument(f"{field} has {size} bytes: there may be {_MAX_ANNOTATIONS}")


def _check_edits(edits: ContainerEdits) -> None:
    for value in (*edits.env, *(value for hook in edits.hooks for value in hook.env)):
        if value.find("=") < 1:
            raise InvalidArgument(f"env has {value!r}: it must be NAME=value")
    for node in edits.device_nodes:
        _check_node(node)
    for hook in edits.hooks:
        if hook.hook_name not in HOOKS:
            raise InvalidArgument(f"hookName is {hook.hook_name!r}: it must be one of {', '.join(HOOKS)}")
        if not hook.path:
            raise InvalidArgument(f"a hook {hook.hook_name} has no path")
    for mount in edits.mounts:
        if not mount.host_path or not mount.container_path:
            raise InvalidArgument(
                f"a mount needs hostPath and containerPath, not {mount.host_path!r} and {mount.container_path!r}"
            )
    clos_id = edits.intel_rdt.clos_id if edits.intel_rdt else ""
    if len(clos_id) >= _MAX_CLOS_ID or clos_id in (".", "..") or {"/", "\n"} & set(clos_id):
        raise InvalidArgument(f"intelRdt.closID is {clos_id!r:.80}: it must be a file name")


def _check_node(node: DeviceNode) -> None:
    if not node.path:
        raise InvalidArgument("a device node has no path")
    if node.type not in _NODE_TYPES:
        raise InvalidArgument(f"type is {node.type!r}, of the device node {node.path!r}: it must be b, c, u or p")
    if set(node.permissions) - set("rwm"):
        raise InvalidArgument(
            f"permissions is {node.permissions!r}, of the device node {node.path!r}: it must be of the letters r, w, m"
        )
