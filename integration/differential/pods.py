"""What a pod's config makes of the pause container, the record, and the containers in it."""

from __future__ import annotations

from typing import Any

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import Case, Mode, Options, Pod, Resources, case, number, pod
from integration.differential.nodes import SECCOMP

Kind = cri.SecurityProfileProfileType
ON_NODE = Options(network=Mode.NODE)


def of(name: str, wanted: Pod, **fields: Any) -> Case:
    return case(name, pod=wanted, **fields)


def on_node(**fields: Any) -> Pod:
    """On the node's network, for what has nothing to do with it."""
    return pod(namespace_options=ON_NODE, **fields)


def filtered(kind: Kind, reference: str = "") -> Pod:
    return on_node(seccomp=cri.SecurityProfile(profile_type=kind, localhost_ref=reference))


PORTS = [
    cri.PortMapping(protocol=cri.Protocol.TCP, container_port=80),
    cri.PortMapping(protocol=cri.Protocol.UDP, container_port=53, host_port=0, host_ip="127.0.0.1"),
]

CASES = (
    of("no security context", Pod(cri.LinuxPodSandboxConfig())),
    of("no Linux part", Pod(None)),
    of("no metadata", on_node(fields={"metadata": None})),
    of("no name", on_node(fields={"metadata": cri.PodSandboxMetadata(uid="u", namespace="n")})),
    of("no namespace", on_node(fields={"metadata": cri.PodSandboxMetadata(name="p", uid="u")})),
    of("no uid, and an attempt", on_node(fields={"metadata": cri.PodSandboxMetadata("p", "", "n", 7)})),
    of("a user", on_node(run_as_user=number(5))),
    of(
        "a user and a group, and supplemental groups",
        on_node(run_as_user=number(5), run_as_group=number(6), supplemental_groups=[7]),
    ),
    of("a group without a user", on_node(run_as_group=number(6))),
    of("a user too great", on_node(run_as_user=number(2**31))),
    of("supplemental groups", on_node(supplemental_groups=[7, 5])),
    of("a read-only root", on_node(readonly_rootfs=True)),
    of("privileged", on_node(privileged=True, seccomp=cri.SecurityProfile())),
    of("the default filter", filtered(Kind.RuntimeDefault)),
    of("no filter", filtered(Kind.Unconfined)),
    of("a filter of the node's", filtered(Kind.Localhost, SECCOMP)),
    of("a filter that isn't there", filtered(Kind.Localhost, "/nope.json")),
    of("an old string for a filter", on_node(seccomp_profile_path="runtime/default")),
    of("AppArmor's default", on_node(apparmor=cri.SecurityProfile())),
    of("an SELinux label", on_node(selinux_options=cri.SeLinuxOption(user="u", role="r", type="t", level="s0:c1"))),
    of("an SELinux level that is none", on_node(selinux_options=cri.SeLinuxOption(level="bad"))),
    of(
        "sysctls",
        pod(linux={"sysctls": {"net.ipv4.ping_group_range": "1 0", "net.ipv4.ip_unprivileged_port_start": "80"}}),
    ),
    of(
        "a sysctl of the ipc namespace on the node's network",
        on_node(linux={"sysctls": {"kernel.shm_rmid_forced": "1"}}),
    ),
    of("a cgroup parent", on_node(linux={"cgroup_parent": "/a//b/"})),
    of("a cgroup parent of systemd's", on_node(linux={"cgroup_parent": "/kubepods.slice/kubepods-x.slice"})),
    of(
        "resources and overhead",
        on_node(
            linux={
                "resources": Resources(
                    cpu_period=1000, cpu_quota=2000, cpu_shares=3, memory_limit_in_bytes=4, unified={"memory.low": "b"}
                ),
                "overhead": Resources(cpu_shares=9, cpuset_cpus="0"),
            }
        ),
    ),
    of("overhead alone", on_node(linux={"overhead": Resources(cpu_shares=9)})),
    of(
        "servers and searches for names",
        pod(fields={"dns_config": cri.DnsConfig(servers=["10.0.0.10"], searches=["a", "b"], options=["ndots:5"])}),
    ),
    of("nobody to ask for names", on_node(fields={"dns_config": cri.DnsConfig()})),
    of("ports", pod(fields={"port_mappings": PORTS})),
    of(
        "labels and annotations",
        on_node(fields={"labels": {"a": "b", "c/d": ""}, "annotations": {"<&>": "é\u2028", "k": "v"}}),
    ),
    of(
        "annotations for the snapshot",
        on_node(fields={"annotations": {"containerd.io/snapshot/x": "y", "containerd.io/other": "z"}}),
    ),
    of("a label of the runtime's own", on_node(fields={"labels": {"io.cri-containerd.kind": "container"}})),
    of("a label too long", on_node(fields={"labels": {"long": "x" * 4096}})),
    of(
        "bandwidth",
        pod(fields={"annotations": {"kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "1k"}}),
    ),
    of("bandwidth that is none", pod(fields={"annotations": {"kubernetes.io/ingress-bandwidth": "fast"}})),
    of("no host name", pod(fields={"hostname": ""})),
    of("a long host name", pod(fields={"hostname": "x" * 64})),
    of("a log directory that is no path", on_node(fields={"log_directory": "relative"})),
    of("a container of it with other names", on_node(), metadata=cri.ContainerMetadata(name="other_name", attempt=9)),
)
