"""What a PodSandboxConfig must be, looked at before anything is made.

Source: the CRI's own words on its fields; hostname(7), resolv.conf(5).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import attachment
from cri_shim.cri.labels import check_labels
from cri_shim.errors import InvalidArgument
from cri_shim.oci import checks
from cri_shim.oci.resource_checks import check_resources
from cri_shim.oci.sandbox import check_security
from cri_shim.oci.sysctls import check_sysctls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.policy import Policy

_MAX_PORT = 65535


def check_pod(config: cri.PodSandboxConfig, policy: Policy, facts: NodeFacts, host: HostView) -> None:
    """Raise InvalidArgument for a config that no node could meet, or not this one. Blocks: call it in a thread."""
    security = config.linux.security_context if config.linux else None
    options = security.namespace_options if security else None
    checks.hostname("config.hostname", config.hostname)
    if config.hostname and options is not None and options.network == cri.NamespaceMode.NODE:
        raise InvalidArgument(
            f"config.hostname is {config.hostname!r}, but a pod on the node's network has the node's name: leave it out"
        )
    checks.absolute("config.log_directory", config.log_directory)
    _check_dns(config.dns_config or cri.DnsConfig())
    _check_ports(config.port_mappings)
    check_labels(config.labels)
    attachment(config, "", "")
    if config.linux is not None:
        checks.inside("config.linux.cgroup_parent", config.linux.cgroup_parent)
        for name, limits in (("overhead", config.linux.overhead), ("resources", config.linux.resources)):
            if limits is not None:
                check_resources(f"config.linux.{name}", limits)
        check_sysctls(config.linux.sysctls, options or cri.NamespaceOption())
    check_security(config, policy, facts, host)


def _check_dns(dns: cri.DnsConfig) -> None:
    for name, values in (("servers", dns.servers), ("searches", dns.searches), ("options", dns.options)):
        for index, value in enumerate(values):
            checks.word(f"config.dns_config.{name}[{index}]", value)


def _check_ports(mappings: Sequence[cri.PortMapping]) -> None:
    for index, mapping in enumerate(mappings):
        field = f"config.port_mappings[{index}]"
        checks.one_of(f"{field}.protocol", mapping.protocol, cri.Protocol)
        for name, port in (("container_port", mapping.container_port), ("host_port", mapping.host_port)):
            if not 0 <= port <= _MAX_PORT:
                raise InvalidArgument(f"{field}.{name} is {port}: ports are 1 to {_MAX_PORT}, and 0 stands for none")
        if mapping.host_port and not mapping.container_port:
            raise InvalidArgument(f"{field}.container_port is 0, but host_port {mapping.host_port}: set both")
        _check_address(f"{field}.host_ip", mapping.host_ip)


def _check_address(field: str, address: str) -> None:
    try:
        if address:
            ipaddress.ip_address(address)
    except ValueError as error:
        raise InvalidArgument(f"{field} is {address!r:.100}: it must be an IPv4 or IPv6 address") from error
