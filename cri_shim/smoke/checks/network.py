"""A pod's network: its address, who reaches it, its names."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import pod_linux
from cri_shim.smoke.expect import equal, eventually, that

if TYPE_CHECKING:
    from cri_shim.smoke.session import Pod
    from cri_shim.smoke.subject import Subject

network = Capability("network")
_PORT = 7070
_HOST_PORT = 39170
_NODE = cri.NamespaceOption(network=cri.NamespaceMode.NODE, pid=cri.NamespaceMode.CONTAINER)


async def serve(s: Subject, pod: Pod, port: int = _PORT) -> str:
    """A container of the pod that sends back on `port` what it is sent."""
    await s.needs("nc")
    return await s.run(s.container_config(["sh", "-c", f"while :; do nc -l -p {port} -e cat; done"], "server"), pod)


async def _echo(s: Subject, host: str, port: int) -> str:
    """What a server at an address of the runtime's network sends back."""

    async def said() -> str | None:
        try:
            async with await s.place.connect(host, port) as stream:
                await stream.send(b"hello")
                await stream.send_eof()
                return (await stream.receive()).decode()
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
            return None  # it does not listen yet

    return await eventually(said, f"an answer of {host}:{port}")


@network.check
async def pod_has_an_address(s: Subject) -> None:
    """A pod has an IP address."""
    address = await s.address(await s.shared_pod())
    that(not ipaddress.ip_address(address).is_loopback, "an address that is not loopback's", address)


@network.check
async def addresses_differ(s: Subject) -> None:
    """Two pods have two addresses."""
    first, second = await s.address(await s.shared_pod()), await s.address(await s.pod())
    that(first != second, "two addresses", first)


@network.check
async def loopback_is_up(s: Subject) -> None:
    """A pod's loopback interface is up."""
    flags = await s.shell(await s.shared_container(), "cat /sys/class/net/lo/flags")
    that(int(flags, 16) & 1, "the flag IFF_UP of lo", flags)


@network.check
async def node_reaches_pod(s: Subject) -> None:
    """A server in a pod is reached from the node, at the pod's address."""
    pod = await s.pod()
    await serve(s, pod)
    equal("an echo", "hello", await _echo(s, await s.address(pod), _PORT))


@network.check
async def pod_reaches_pod(s: Subject) -> None:
    """A server in a pod is reached from another pod."""
    pod, client = await s.pod(), await s.shared_container()
    await serve(s, pod)
    address = await s.address(pod)

    async def said() -> str | None:
        return await s.shell(client, f"echo hello | nc {address} {_PORT} 2>/dev/null || true") or None

    equal("an echo", "hello", await eventually(said, f"an answer of {address}"))


@network.check
async def containers_of_a_pod_share_its_loopback(s: Subject) -> None:
    """A server of one container is at 127.0.0.1 for the pod's other containers."""
    await serve(s, await s.shared_pod(), 7071)
    client = await s.shared_container()

    async def said() -> str | None:
        return await s.shell(client, "echo hello | nc 127.0.0.1 7071 2>/dev/null || true") or None

    equal("an echo", "hello", await eventually(said, "an answer of 127.0.0.1:7071"))


@network.check
async def host_port_leads_to_the_pod(s: Subject) -> None:
    """A host port leads to the port of the pod that it is mapped to."""
    mapping = cri.PortMapping(container_port=_PORT, host_port=_HOST_PORT)
    pod = await s.pod(s.pod_config(port_mappings=[mapping]))
    await serve(s, pod)
    address = await s.address(pod)

    async def reached_from() -> str | None:
        try:
            async with await s.place.connect(address, _PORT) as stream:
                return str(stream.extra(anyio.abc.SocketAttribute.local_address)[0])  # noqa: S610  (it is no Django)
        except OSError:
            return None  # it does not listen yet

    node = await eventually(reached_from, f"an address of the node's, from which it reaches {address}")
    equal("an echo", "hello", await _echo(s, node, _HOST_PORT))


@network.check
async def host_network_is_the_nodes(s: Subject) -> None:
    """A pod with the node's network is in the node's namespace."""
    pod = await s.pod(s.pod_config(hostname="", linux=pod_linux(namespace_options=_NODE)))
    context = cri.LinuxContainerSecurityContext(namespace_options=_NODE)
    container = await s.run(s.container_config(context=context), pod)
    equal("the namespace", await s.place.namespace("net"), await s.namespace_of(container, "net"))


@network.check
async def hostname_is_the_pods(s: Subject) -> None:
    """All containers of a pod have its host name."""
    pod = await s.pod(s.pod_config(hostname="smoke-host"))
    equal("the host name", ["smoke-host"], await s.says("cat /proc/sys/kernel/hostname", pod=pod))
    equal("/etc/hostname", ["smoke-host"], await s.says("cat /etc/hostname", pod=pod))


@network.check
async def resolver_is_as_asked_for(s: Subject) -> None:
    """/etc/resolv.conf has the servers, search domains and options of the request."""
    dns = cri.DnsConfig(servers=["192.0.2.53"], searches=["smoke.example"], options=["ndots:3"])
    found = await s.says("cat /etc/resolv.conf", pod=await s.pod(s.pod_config(dns_config=dns)))
    words = {tuple(line.split()) for line in found if line.strip() and not line.startswith("#")}
    equal("the lines", {("nameserver", "192.0.2.53"), ("search", "smoke.example"), ("options", "ndots:3")}, words)
