"""Network configurations: a list of plugins under one name (CNI specification, section 1).

Only what a runtime acts on is typed. Everything else in a plugin's object, and each value's very spelling, is passed
through as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from cri_shim import errors
from cri_shim.cni import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin's object: its program's name, the capabilities it asks for, and all its keys as written."""

    type: str
    capabilities: frozenset[str]
    keys: Mapping[str, msgspec.Raw]

    def stdin(self, network: Network, extra: Mapping[str, object]) -> bytes:
        """What the plugin reads: its object with the network's name and version, and `extra` keys, put in."""
        common = {"name": network.name, "cniVersion": network.cni_version}
        return msgspec.json.encode({**self.keys, **common, **extra})

    def describe(self) -> dict[str, object]:
        """The plugin as containerd's verbose status shows it."""
        network = {"type": self.type, "capabilities": dict.fromkeys(sorted(self.capabilities), True)}
        return {"Network": network, "Source": msgspec.json.encode(self.keys).decode()}


@dataclass(frozen=True, slots=True)
class Network:
    """A network's plugins in the order of ADD; `source` is the list as JSON, from which `parse_list` makes it again."""

    name: str
    cni_version: str
    disable_check: bool
    plugins: tuple[Plugin, ...]
    source: bytes
    inlined_only: bool = True

    def supports(self, version: str) -> bool:
        """Whether the configuration's version is `version` or later."""
        return versions.at_least(self.cni_version, version)

    def describe(self) -> dict[str, object]:
        """The network as containerd's verbose status shows it."""
        return {
            "Name": self.name,
            "CNIVersion": self.cni_version,
            "Plugins": [one.describe() for one in self.plugins],
            "Source": self.source.decode(errors="replace"),
        }


class _List(msgspec.Struct, rename="camel"):
    name: str
    cni_version: str | None = None
    cni_versions: list[str] | None = None
    disable_check: bool | str | None = None
    load_only_inlined_plugins: bool | str | None = None
    plugins: list[msgspec.Raw] | None = None


class _Plugin(msgspec.Struct):
    type: str
    capabilities: dict[str, bool] | None = None


def parse_list(data: bytes) -> Network:
    """The network of a `.conflist` file; it has no plugins if they are in files of their own.

    Raises `errors.InvalidArgument` saying which key is wrong.
    """
    listed = _decode(data, _List)
    if not _NAME.fullmatch(listed.name):
        raise errors.InvalidArgument(f"network name {listed.name!r} is empty or has other characters than A-Za-z0-9_.-")
    inlined_only = _boolean("loadOnlyInlinedPlugins", listed.load_only_inlined_plugins)
    if listed.plugins is None and inlined_only:
        raise errors.InvalidArgument("loadOnlyInlinedPlugins is true, and there is no list of plugins")
    if listed.plugins is not None and not listed.plugins:
        raise errors.InvalidArgument("the list of plugins is empty")
    return Network(
        name=listed.name,
        cni_version=_newest(listed.cni_version or "", listed.cni_versions),
        disable_check=_boolean("disableCheck", listed.disable_check),
        plugins=tuple(parse_plugin(bytes(raw)) for raw in listed.plugins or ()),
        source=data,
        inlined_only=inlined_only,
    )


def parse_plugin(data: bytes) -> Plugin:
    """One plugin's object; raises `errors.InvalidArgument` when it has no type, or is no object."""
    typed = _decode(data, _Plugin)
    if not typed.type or "/" in typed.type:
        raise errors.InvalidArgument(f"plugin type {typed.type!r} is not the name of a program")
    wanted = frozenset(name for name, on in (typed.capabilities or {}).items() if on)
    return Plugin(typed.type, wanted, _decode(data, dict[str, msgspec.Raw]))


def from_single(data: bytes) -> Network:
    """The network of a `.conf` or `.json` file: one plugin, whose object has the network's name and version."""
    keys = _decode(data, dict[str, msgspec.Raw])
    if "type" not in keys and "plugins" in keys:
        raise errors.InvalidArgument("this is a list of plugins, whose file name has to end in .conflist")
    parse_plugin(data)
    listed = {key: keys[key] for key in ("cniVersion", "name") if key in keys} | {"plugins": [msgspec.Raw(data)]}
    return parse_list(msgspec.json.encode(listed))


def with_plugins(network: Network, added: tuple[Plugin, ...]) -> Network:
    """`network` with plugins read from files of their own, its source rewritten so that it holds them all."""
    plugins = (*network.plugins, *added)
    keys: dict[str, object] = dict(_decode(network.source, dict[str, msgspec.Raw]))
    source = msgspec.json.encode({**keys, "loadOnlyInlinedPlugins": True, "plugins": [one.keys for one in plugins]})
    return parse_list(source)


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidArgument(str(error)) from error


def _boolean(key: str, value: bool | str | None) -> bool:  # noqa: FBT001  (the specification has both spellings)
    if isinstance(value, str):
        if value.lower() not in {"true", "false"}:
            raise errors.InvalidArgument(f"{key} is {value!r}, neither true nor false")
        return value.lower() == "true"
    return bool(value)


def _newest(version: str, offered: list[str] | None) -> str:
    """The newest version that we know too, of those that the list names."""
    versions.parse(version)
    if offered is None:
        return version
    known = [one for one in [*offered, version] if one and not versions.parse(one) > versions.parse(versions.NEWEST)]
    return max(known, key=versions.parse, default=version)
