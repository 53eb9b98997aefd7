"""The result of a pod's whole network, in the form that containerd stores with the pod (go-cni's `Result`)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import msgspec

from cri_shim import errors
from cri_shim.cni.plugin_result import Address, Dns, Interface, PluginResult, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

POD_INTERFACE: Final = "eth0"
IP_PREFERENCES: Final = ("", "ipv4", "ipv6", "cni")


class IpConfig(msgspec.Struct, frozen=True, rename={"ip": "IP", "gateway": "Gateway"}):
    """An address without its prefix length, and its gateway or ""."""

    ip: str
    gateway: str = ""


class InterfaceConfig(
    msgspec.Struct,
    frozen=True,
    rename={
        "ip_configs": "IPConfigs",
        "mac": "Mac",
        "sandbox": "Sandbox",
        "pci_id": "PciID",
        "socket_path": "SocketPath",
    },
):
    """An interface of the pod, or of the host on the pod's behalf."""

    ip_configs: tuple[IpConfig, ...] | None = None
    mac: str = ""
    sandbox: str = ""
    pci_id: str = ""
    socket_path: str = ""


class CniResult(msgspec.Struct, frozen=True, rename={"interfaces": "Interfaces", "dns": "DNS", "routes": "Routes"}):
    """All networks' interfaces by name, their name servers (one item a network), and their routes."""

    interfaces: dict[str, InterfaceConfig]
    dns: tuple[Dns, ...] | None = None
    routes: tuple[Route, ...] | None = None

    def to_json_value(self) -> dict[str, object]:
        """The form stored in containerd's sandbox metadata under `CNIResult`."""
        return msgspec.json.decode(msgspec.json.encode(self), type=dict[str, object])

    @classmethod
    def from_json_value(cls, value: object) -> CniResult:
        """What `to_json_value` or containerd made; raises `errors.DataLoss` when it is something else."""
        try:
            return msgspec.convert(value, cls)
        except msgspec.ValidationError as error:
            raise errors.DataLoss(f"the stored CNI result can't be read: {error}") from error

    def pod_ips(self, ip_pref: str) -> tuple[str, list[str]]:
        """The pod's address and its further ones, chosen from `eth0`'s by containerd's `ip_pref`.

        An unknown preference counts as "ipv4"; if no address is of the family preferred, the first one is the pod's.
        Raises `errors.Unknown` when there is no address at all.
        """
        interface = self.interfaces.get(POD_INTERFACE)
        addresses = [one.ip for one in (interface.ip_configs if interface else None) or ()]
        if not addresses:
            raise errors.Unknown(
                f"failed to find network info: the CNI plugins gave {POD_INTERFACE} no address, only the interfaces "
                f"{sorted(self.interfaces)}"
            )
        family = {"cni": None, "ipv6": 6}.get(ip_pref, 4)
        versions = [ipaddress.ip_address(one).version for one in addresses]
        chosen = versions.index(family) if family in versions else 0
        return addresses[chosen], addresses[:chosen] + addresses[chosen + 1 :]


def combine(results: Sequence[PluginResult]) -> CniResult:
    """The networks' results, in their order, as one.

    Where two name the same interface, the later wins; an address without an interface is `eth0`'s, which is always
    there.
    """
    interfaces = {POD_INTERFACE: InterfaceConfig()}
    for result in results:
        listed = result.interfaces or ()
        interfaces.update((one.name, _config(one)) for one in listed)
        for address in result.ips or ():
            name = POD_INTERFACE if address.interface is None else listed[address.interface].name
            known = interfaces[name]
            configs = (*(known.ip_configs or ()), _ip_config(address))
            interfaces[name] = msgspec.structs.replace(known, ip_configs=configs)
    return CniResult(
        interfaces=dict(sorted(interfaces.items())),
        dns=tuple(result.dns or Dns() for result in results) or None,
        routes=tuple(route for result in results for route in result.routes or ()) or None,
    )


def loopback(netns: str, addresses: Iterable[str]) -> PluginResult:
    """What the `loopback` plugin answers, for an `lo` that was brought up without it."""
    lengths = {4: 8, 6: 128}
    with_prefix = [f"{one}/{lengths[ipaddress.ip_address(one).version]}" for one in addresses]
    return PluginResult(
        interfaces=[Interface("lo", mac="00:00:00:00:00:00", sandbox=netns)],
        ips=[Address(one, interface=0) for one in with_prefix],
    )


def _config(interface: Interface) -> InterfaceConfig:
    return InterfaceConfig(
        mac=interface.mac or "",
        sandbox=interface.sandbox or "",
        pci_id=interface.pci_id or "",
        socket_path=interface.socket_path or "",
    )


def _ip_config(address: Address) -> IpConfig:
    return IpConfig(_plain(address.address.split("/", 1)[0]), _plain(address.gateway) if address.gateway else "")


def _plain(text: str) -> str:
    """An address as Go writes it: shortened, and an IPv4 one in IPv6 clothes as IPv4."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
