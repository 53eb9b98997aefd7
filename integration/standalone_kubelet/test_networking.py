"""Pods' network: addresses of their own, ports of the node's, its network, and the files that names come from."""

from __future__ import annotations

import ipaddress
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integration.harness.containerd import CNI_SUBNET
from integration.standalone_kubelet.http_client import HttpClient
from integration.standalone_kubelet.manifest import Container, Pod, Port
from integration.standalone_kubelet.standalone import ADDRESS, eventually

if TYPE_CHECKING:
    from integration.standalone_kubelet.standalone import StandaloneKubelet

WEB = "registry.k8s.io/e2e-test-images/nginx:1.14-2"
FOREVER = "exec sleep 100000"


def server(port: int = 8080, host_port: int | None = None) -> Container:
    ports = (Port(container_port=port, host_port=host_port),)
    return Container(image=WEB, command=("/usr/sbin/nginx", str(port)), ports=ports)


def page(kubelet: StandaloneKubelet, address: str, port: int) -> str:
    return eventually(lambda: HttpClient(kubelet.node, port, address=address).get("/").decode(), 10)


def test_a_pod_has_an_address_that_the_node_and_other_pods_reach(kubelet: StandaloneKubelet) -> None:
    status = kubelet.runs(Pod(name="server", containers=(server(),)))
    assert ipaddress.ip_address(status.pod_ip) in ipaddress.ip_network(CNI_SUBNET)
    shown = page(kubelet, status.pod_ip, 8080)
    kubelet.runs(Pod(name="client", containers=(Container(script=FOREVER),)))
    assert kubelet.sh("client", f"wget -qO- http://{status.pod_ip}:8080/") == shown


def test_a_port_of_the_nodes_leads_to_the_pod_while_that_lives(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="host-port", containers=(server(8080, 18080),)))
    assert "nginx" in page(kubelet, ADDRESS, 18080)
    kubelet.remove("host-port")
    kubelet.gone("host-port")
    with pytest.raises(OSError), closing(kubelet.node.connect(18080, ADDRESS, timeout=2)):  # noqa: PT011
        pass


def test_a_port_can_be_had_by_the_next_pod(kubelet: StandaloneKubelet) -> None:
    for name in ("port-first", "port-next"):
        kubelet.runs(Pod(name=name, containers=(server(8080, 18081),)))
        assert "nginx" in page(kubelet, ADDRESS, 18081)
        kubelet.remove(name)
        kubelet.gone(name)


def test_a_pod_may_be_in_the_nodes_network(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="host-network", containers=(server(18082),), host_network=True))
    for address in ("127.0.0.1", ADDRESS):
        assert "nginx" in page(kubelet, address, 18082)
    assert kubelet.sh("host-network", "hostname").strip() == kubelet.node.run(["hostname"]).stdout.strip()


def test_names_are_looked_up_as_the_pod_wants_them(kubelet: StandaloneKubelet) -> None:
    pod = Pod(
        name="names",
        containers=(Container(script=FOREVER),),
        hostname="my-name",
        host_aliases=({"ip": "10.9.8.7", "hostnames": ["there", "there.example"]},),
        dns_policy="None",
        dns_config={
            "nameservers": ["10.1.2.3"],
            "searches": ["one.example", "two.example"],
            "options": [{"name": "ndots", "value": "3"}, {"name": "rotate"}],
        },
    )
    status = kubelet.runs(pod)
    assert kubelet.sh("names", "hostname").strip() == "my-name"
    hosts = [line.split() for line in kubelet.sh("names", "cat /etc/hosts").splitlines()]
    assert ["10.9.8.7", "there", "there.example"] in hosts
    assert [status.pod_ip, "my-name"] in hosts
    search, server, options = kubelet.sh("names", "cat /etc/resolv.conf").splitlines()
    assert (search, server) == ("search one.example two.example", "nameserver 10.1.2.3")
    assert sorted(options.split()) == ["ndots:3", "options", "rotate"]


def test_a_pods_resolver_is_the_nodes_by_default(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="default-names", containers=(Container(script=FOREVER),), dns_policy="Default"))
    assert "nameserver 127.0.0.1" in kubelet.sh("default-names", "cat /etc/resolv.conf").splitlines()


def test_the_kernel_parameters_of_a_pod_are_its_own(kubelet: StandaloneKubelet) -> None:
    context = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "77"}]}
    kubelet.runs(Pod(name="sysctls", containers=(Container(script=FOREVER),), security_context=context))
    parameter = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
    assert kubelet.sh("sysctls", f"cat {parameter}").strip() == "77"
    assert kubelet.node.run(["cat", parameter]).stdout.strip() != "77"
