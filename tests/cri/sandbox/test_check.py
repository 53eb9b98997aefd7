"""Each value of a PodSandboxConfig that can't be is refused: by field, with the value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.sandbox.check import check_pod
from cri_shim.errors import InvalidArgument
from cri_shim.oci.policy import Policy
from tests.oci.node import FACTS, MAPPING, NODE, POD, POD_CONFIG, FakeHost

CONTEXT = "config.linux.security_context"
OPTIONS = f"{CONTEXT}.namespace_options"
Context = cri.LinuxSandboxSecurityContext
Mode = cri.NamespaceMode
Resources = cri.LinuxContainerResources
Profile = cri.SecurityProfile
Kinds = cri.SecurityProfileProfileType


def number(value: int) -> cri.Int64Value:
    return cri.Int64Value(value=value)


def port(**fields: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"container_port": 80, "host_port": 8080}
    return {"port_mappings": [cri.PortMapping(), cri.PortMapping(**usual | fields)]}


def linux(**fields: Any) -> dict[str, Any]:
    return {"linux": cri.LinuxPodSandboxConfig(**fields)}


def context(**fields: Any) -> dict[str, Any]:
    return {"linux": cri.LinuxPodSandboxConfig(security_context=Context(**fields))}


def options(**fields: Any) -> dict[str, Any]:
    return context(namespace_options=cri.NamespaceOption(**fields))


def users(**fields: Any) -> dict[str, Any]:
    return options(userns_options=cri.UserNamespace(**fields))


def config(fields: dict[str, Any]) -> cri.PodSandboxConfig:
    usual: dict[str, Any] = {"metadata": POD_CONFIG.metadata, "log_directory": "/var/log/pods/x", "hostname": "web"}
    return cri.PodSandboxConfig(**usual | fields)


@pytest.mark.parametrize(
    ("fields", "field", "value", "allowed"),
    [
        ({"hostname": "h" * 65}, "config.hostname", "65 bytes", "at most 64"),
        ({"hostname": "a\nb"}, "config.hostname", r"'a\nb'", "one word"),
        ({"hostname": "a\0b"}, "config.hostname", r"'a\x00b'", "one word"),
        (options(network=NODE), "config.hostname", "'web'", "leave it out"),
        (linux(cgroup_parent="/a/../../b"), "config.linux.cgroup_parent", "'/a/../../b'", "must not have '..'"),
        (linux(cgroup_parent="/a\0"), "config.linux.cgroup_parent", r"\x00", "NUL"),
        (linux(overhead=Resources(cpu_period=1)), "config.linux.overhead.cpu_period", "1", "1000 to 1000000"),
        (linux(resources=Resources(cpuset_cpus="x")), "config.linux.resources.cpuset_cpus", "'x'", "ranges"),
        ({"log_directory": "var/log"}, "config.log_directory", "'var/log'", "absolute path"),
        ({"log_directory": "/var/\0"}, "config.log_directory", r"\x00", "NUL"),
        (
            {"dns_config": cri.DnsConfig(servers=["1.1.1.1", "1.1.1.1\nsearch evil"])},
            "config.dns_config.servers[1]",
            "search evil",
            "one word",
        ),
        ({"dns_config": cri.DnsConfig(searches=["a b"])}, "config.dns_config.searches[0]", "'a b'", "one word"),
        ({"dns_config": cri.DnsConfig(options=["a\tb"])}, "config.dns_config.options[0]", r"'a\tb'", "one word"),
        (port(protocol=9), "config.port_mappings[1].protocol", "9", "TCP or UDP or SCTP"),
        (port(container_port=65536), "config.port_mappings[1].container_port", "65536", "1 to 65535"),
        (port(host_port=-1), "config.port_mappings[1].host_port", "-1", "1 to 65535"),
        (port(container_port=0), "config.port_mappings[1].container_port", "0", "set both"),
        (port(host_ip="127.0.0.1/8"), "config.port_mappings[1].host_ip", "'127.0.0.1/8'", "IPv4 or IPv6"),
        ({"labels": {"k": "v" * 4096}}, "config.labels['k']", "4097 bytes", "at most 4096"),
        (options(network=Mode.TARGET), f"{OPTIONS}.network", "TARGET", "POD or CONTAINER or NODE"),
        (options(pid=Mode.TARGET), f"{OPTIONS}.pid", "TARGET", "POD or CONTAINER or NODE"),
        (options(ipc=7), f"{OPTIONS}.ipc", "7", "POD or CONTAINER or NODE"),
        (users(mode=Mode.CONTAINER), f"{OPTIONS}.userns_options.mode", "CONTAINER", "POD or NODE"),
        (users(mode=POD, uids=[MAPPING]), f"{OPTIONS}.userns_options.gids", "0", "exactly one"),
        (users(mode=NODE, uids=[MAPPING]), f"{OPTIONS}.userns_options", "NODE", "leave them out"),
        (context(run_as_user=number(-1)), f"{CONTEXT}.run_as_user", "-1", "0 to 2147483647"),
        (context(run_as_user=number(2**31)), f"{CONTEXT}.run_as_user", "2147483648", "0 to 2147483647"),
        (context(run_as_group=number(3)), f"{CONTEXT}.run_as_group", "3", "needs a user"),
        (context(supplemental_groups=[1, -2]), f"{CONTEXT}.supplemental_groups", "-2", "0 to 2147483647"),
        (context(selinux_options=cri.SeLinuxOption(level="x")), f"{CONTEXT}.selinux_options.level", "'x'", "like s0"),
        (context(seccomp=Profile(profile_type=9)), f"{CONTEXT}.seccomp.profile_type", "9", "RuntimeDefault"),
        (context(seccomp=Profile(localhost_ref="/x")), f"{CONTEXT}.seccomp.localhost_ref", "'/x'", "only be set if"),
        (context(seccomp=Profile(profile_type=Kinds.Localhost)), f"{CONTEXT}.seccomp.localhost_ref", "empty", "needs"),
        (
            context(seccomp=Profile(profile_type=Kinds.Localhost, localhost_ref="rel")),
            f"{CONTEXT}.seccomp.localhost_ref",
            "'rel'",
            "absolute path",
        ),
        (
            context(seccomp=Profile(profile_type=Kinds.Localhost, localhost_ref="/not/there")),
            f"{CONTEXT}.seccomp.localhost_ref",
            "'/not/there'",
            "No such file",
        ),
        (
            {"annotations": {"kubernetes.io/ingress-bandwidth": "much"}},
            "kubernetes.io/ingress-bandwidth",
            "much",
            "",
        ),
    ],
)
def test_what_can_not_be_is_refused(fields: dict[str, Any], field: str, value: str, allowed: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_pod(config(fields), Policy(user_namespaces=True), FACTS, FakeHost())
    for part in (field, value, allowed):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"hostname": "h" * 64},
        {"hostname": "", "log_directory": "", "linux": options(network=NODE, pid=NODE, ipc=NODE)["linux"]},
        {"dns_config": cri.DnsConfig(servers=["fe80::1%eth0"], searches=["."], options=["ndots:5", "edns0"])},
        port(host_ip="::1", protocol=cri.Protocol.SCTP),
        {"labels": {"k": "v" * 4095}},
        options(pid=Mode.CONTAINER),
        users(mode=POD, uids=[MAPPING], gids=[MAPPING]),
        context(run_as_user=number(0), run_as_group=number(2**31 - 1), supplemental_groups=[0, 5]),
        context(seccomp=Profile(profile_type=Kinds.RuntimeDefault)),
    ],
)
def test_what_can_be_is_not(fields: dict[str, Any]) -> None:
    check_pod(config(fields), Policy(user_namespaces=True), FACTS, FakeHost())
