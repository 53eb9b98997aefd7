"""Kernel parameters of pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import pod_linux
from cri_shim.smoke.expect import equal, refused, that

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

sysctls = Capability("sysctls")
_FILE = "/proc/sys/kernel/shm_rmid_forced"


@sysctls.check
async def parameters_are_the_pods(s: Subject) -> None:
    """A pod's parameters are in force in its containers, and the node's stay as they are."""
    wanted = {"kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "41000\t42000"}
    pod = await s.pod(s.pod_config(linux=pod_linux(sysctls=wanted)))
    said = await s.says(f"cat {_FILE} /proc/sys/net/ipv4/ip_local_port_range", pod=pod)
    equal("the values", [["1"], ["41000", "42000"]], [line.split() for line in said])
    other = await s.says("cat /proc/sys/net/ipv4/ip_local_port_range")
    that(other[0].split() != ["41000", "42000"], "another pod's to be as usual", other)


@sysctls.check
async def low_ports_and_ping_by_sysctl(s: Subject) -> None:
    """What Kubernetes calls safe can be set: net.ipv4.ip_unprivileged_port_start and ping_group_range."""
    wanted = {"net.ipv4.ip_unprivileged_port_start": "80", "net.ipv4.ping_group_range": "0\t1000"}
    pod = await s.pod(s.pod_config(linux=pod_linux(sysctls=wanted)))
    said = await s.says("cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range", pod=pod)
    equal("the values", [["80"], ["0", "1000"]], [line.split() for line in said])


@sysctls.check
async def unknown_parameter_is_refused(s: Subject) -> None:
    """A pod with a parameter that the kernel does not have is refused."""
    config = s.pod_config(linux=pod_linux(sysctls={"net.ipv4.no_such_parameter": "1"}))
    await refused(s.pod(config), "a parameter that there is not")


@sysctls.check
async def parameter_of_the_node_is_refused(s: Subject) -> None:
    """A pod can't set a parameter that is not of its namespaces."""
    config = s.pod_config(linux=pod_linux(sysctls={"vm.swappiness": "1"}))
    await refused(s.pod(config), "vm.swappiness")
