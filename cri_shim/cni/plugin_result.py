"""What a plugin answers to ADD, in all versions of the specification, and its conversion from one to another.

The JSON itself is kept and handed on as the plugin wrote it; it is taken apart only where its content is needed, or
where a plugin has to get it in another version. The forms are three: before 0.3.0 (`ip4`, `ip6`), before 1.0.0 (each
address has a `version`), and the present one.
"""

from __future__ import annotations

import ipaddress
from typing import Final, TypeVar

import msgspec

from cri_shim import errors
from cri_shim.cni import versions

T = TypeVar("T")
_PER_FAMILY: Final = ("0.1.0", "0.2.0")
_WITH_VERSION: Final = ("0.3.0", "0.3.1", "0.4.0")


class Interface(
    msgspec.Struct, frozen=True, omit_defaults=True, rename={"socket_path": "socketPath", "pci_id": "pciID"}
):
    """An interface made for the attachment, on the host (no `sandbox`) or in the pod (`sandbox`: netns path)."""

    name: str
    mac: str | None = ""
    mtu: int | None = 0
    sandbox: str | None = ""
    socket_path: str | None = ""
    pci_id: str | None = ""


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """An address in CIDR form, the index of its interface, and the default gateway of its subnet."""

    address: str
    interface: int | None = None
    gateway: str | None = None
    version: str | None = None


class Route(msgspec.Struct, frozen=True, omit_defaults=True):
    """A route set in the pod; also an item of the stored result (`Routes`)."""

    dst: str
    gw: str | None = None
    mtu: int | None = 0
    advmss: int | None = 0
    priority: int | None = 0
    table: int | None = None
    scope: int | None = None


class Dns(msgspec.Struct, frozen=True, omit_defaults=True):
    """Name servers and the like that a plugin suggests; also an item of the stored result (`DNS`)."""

    nameservers: list[str] | None = None
    domain: str | None = ""
    search: list[str] | None = None
    options: list[str] | None = None


class PluginResult(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A result in the present form, whatever form it came in."""

    cni_version: str = msgspec.field(name="cniVersion", default="")
    interfaces: list[Interface] | None = None
    ips: list[Address] | None = None
    routes: list[Route] | None = None
    dns: Dns | None = None


class _FamilyAddress(msgspec.Struct, frozen=True, omit_defaults=True):
    ip: str
    gateway: str | None = None
    routes: list[Route] | None = None


class _PerFamily(msgspec.Struct, frozen=True, omit_defaults=True):
    cniVersion: str = ""  # noqa: N815  (the key)
    ip4: _FamilyAddress | None = None
    ip6: _FamilyAddress | None = None
    dns: Dns | None = None


def with_version(raw: bytes, version: str) -> bytes:
    """A plugin's answer with its `cniVersion`; one that has none is of the configuration's, `version`.

    Raises `errors.InvalidArgument` when it is not a JSON object.
    """
    keys = {} if raw.strip() == b"null" else _decode(raw, dict[str, msgspec.Raw])
    if bytes(keys.get("cniVersion", b'""')) not in (b'""', b"null"):
        return raw
    return msgspec.json.encode({"cniVersion": version or versions.SUPPORTED[0], **_without(keys, "cniVersion")})


def parse(raw: bytes) -> PluginResult:
    """A result of any version in the present form; raises `errors.InvalidArgument` when it is none."""
    version = version_of(raw)
    result = _from_families(_decode(raw, _PerFamily)) if version in _PER_FAMILY else _decode(raw, PluginResult)
    for one in result.ips or ():
        _check_address(one.address)
        _check_index(one, len(result.interfaces or ()))
    return result


def version_of(raw: bytes) -> str:
    """The result's version; raises `errors.InvalidArgument` when it is one we don't know."""
    version = _decode(raw, _PerFamily).cniVersion or versions.SUPPORTED[0]
    if version not in versions.SUPPORTED:
        raise errors.InvalidArgument(f"the result is of version {version!r}; known are {', '.join(versions.SUPPORTED)}")
    return version


def convert(raw: bytes, version: str) -> bytes:
    """The result in the form of `version`; as it is, if it is of that version already.

    Raises `errors.InvalidArgument` when it is none, or holds no address for a form that requires one.
    """
    wanted = version or versions.SUPPORTED[0]
    if version_of(raw) == wanted:
        return raw
    result = parse(raw)
    if wanted in _PER_FAMILY:
        return msgspec.json.encode(_to_families(result, wanted))
    older = wanted in _WITH_VERSION
    interfaces = [_older(one) if older else one for one in result.interfaces or ()]
    ips = [_numbered(one) if older else msgspec.structs.replace(one, version=None) for one in result.ips or ()]
    return msgspec.json.encode(
        msgspec.structs.replace(result, cni_version=wanted, interfaces=interfaces or None, ips=ips or None)
    )


def _from_families(old: _PerFamily) -> PluginResult:
    families = [one for one in (old.ip4, old.ip6) if one is not None]
    return PluginResult(
        cni_version=old.cniVersion,
        ips=[Address(one.ip, gateway=one.gateway) for one in families] or None,
        routes=[route for one in families for route in one.routes or ()] or None,
        dns=old.dns,
    )


def _to_families(result: PluginResult, version: str) -> _PerFamily:
    """Only the first address of each family has a place there."""
    first: dict[int, _FamilyAddress] = {}
    for one in result.ips or ():
        family = ipaddress.ip_interface(one.address).version
        routes = [route for route in result.routes or () if ipaddress.ip_interface(route.dst).version == family]
        first.setdefault(family, _FamilyAddress(one.address, one.gateway, routes or None))
    if not first:
        raise errors.InvalidArgument(f"a result of version {version} needs an address, and there is none")
    return _PerFamily(version, first.get(4), first.get(6), result.dns)


def _older(interface: Interface) -> Interface:
    return Interface(interface.name, interface.mac, sandbox=interface.sandbox)


def _numbered(address: Address) -> Address:
    return msgspec.structs.replace(address, version=str(ipaddress.ip_interface(address.address).version))


def _check_address(text: str) -> None:
    try:
        if "/" not in text:
            raise ValueError  # noqa: TRY301  (the same failure as the parser's)
        ipaddress.ip_interface(text)
    except ValueError:
        raise errors.InvalidArgument(f"the result's address {text!r} is not of the form 10.0.0.2/24") from None


def _check_index(address: Address, count: int) -> None:
    if address.interface is not None and not 0 <= address.interface < count:
        text = f"the result's address {address.address} is of interface {address.interface}, and there are {count}"
        raise errors.InvalidArgument(text)


def _without(keys: dict[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw]:
    return {key: value for key, value in keys.items() if key != name}


def _decode(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.InvalidArgument(f"the result is not what a plugin may answer: {error}: {raw[:200]!r}") from error
