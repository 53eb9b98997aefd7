"""What plugins are told about a pod, in containerd's words."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim import errors
from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import attachment, bandwidth


def told(**fields: object):
    metadata = cri.PodSandboxMetadata(name="web", namespace="default", uid="u1", attempt=1)
    made = attachment(cri.PodSandboxConfig(metadata=metadata, **fields), "abc", "/run/netns/x")
    return made, {name: json.loads(bytes(value)) for name, value in made.capabilities.items()}


def test_the_pod_is_named_in_the_arguments():
    made, _ = told()
    assert (made.container_id, made.netns) == ("abc", "/run/netns/x")
    assert dict(made.arguments) == {
        "IgnoreUnknown": "1",
        "K8S_POD_NAMESPACE": "default",
        "K8S_POD_NAME": "web",
        "K8S_POD_INFRA_CONTAINER_ID": "abc",
        "K8S_POD_UID": "u1",
    }


def test_a_plain_pod_has_its_annotations_only():
    assert told(annotations={"a": "b"})[1] == {"io.kubernetes.cri.pod-annotations": {"a": "b"}}


def test_ports_with_a_host_port_are_mapped():
    ports = [
        cri.PortMapping(protocol=cri.Protocol.UDP, container_port=53, host_port=5353, host_ip="127.0.0.1"),
        cri.PortMapping(container_port=80),
        cri.PortMapping(container_port=81, host_port=81),
    ]
    assert told(port_mappings=ports)[1]["portMappings"] == [
        {"HostPort": 5353, "ContainerPort": 53, "Protocol": "udp", "HostIP": "127.0.0.1"},
        {"HostPort": 81, "ContainerPort": 81, "Protocol": "tcp", "HostIP": ""},
    ]


def test_name_servers_and_the_pods_cgroup_are_told_when_given():
    dns = cri.DnsConfig(servers=["10.0.0.10"], searches=["svc"], options=["ndots:5"])
    capabilities = told(dns_config=dns, linux=cri.LinuxPodSandboxConfig(cgroup_parent="/kubepods/x"))[1]
    assert capabilities["dns"] == {"Servers": ["10.0.0.10"], "Searches": ["svc"], "Options": ["ndots:5"]}
    assert capabilities["cgroupPath"] == "/kubepods/x"


def test_bandwidth_is_limited_on_the_side_that_is_annotated():
    annotations = {"kubernetes.io/ingress-bandwidth": "10M"}
    assert told(annotations=annotations)[1]["bandwidth"] == {
        "IngressRate": 10_000_000,
        "IngressBurst": 4294967295,
        "EgressRate": 0,
        "EgressBurst": 0,
    }


@pytest.mark.parametrize("value", ["fast", "999", "2P", "1e30", "", "1 M", "-1M"])
def test_a_bandwidth_that_is_wrong_is_refused_with_its_annotation(value):
    with pytest.raises(errors.InvalidArgument, match=r"kubernetes\.io/egress-bandwidth"):
        told(annotations={"kubernetes.io/egress-bandwidth": value})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5Gi", 3 << 29),
        ("2e6", 2_000_000),
        ("2E6", 2_000_000),
        ("1E", 10**18),
        ("1Ei", 1 << 60),
        ("1500m", 2),
        ("1u", 1),
        ("1n", 1),
        (".5k", 500),
        ("+3.M", 3_000_000),
        ("0", 0),
    ],
)
def test_quantities_are_read_and_rounded_up(text, value):
    assert bandwidth.parse_quantity(text) == value


@given(st.decimals(0, 10**15, places=3), st.sampled_from(["", "k", "M", "Mi", "Gi"]))
def test_any_decimal_is_a_quantity(number, suffix):
    factor = {"": 1, "k": 10**3, "M": 10**6, "Mi": 1 << 20, "Gi": 1 << 30}[suffix]
    exact = Decimal(number) * factor
    assert exact <= bandwidth.parse_quantity(f"{number:f}{suffix}") < exact + 1


@given(st.text())
def test_any_text_is_a_quantity_or_refused(text):
    try:
        bandwidth.parse_quantity(text)
    except errors.InvalidArgument:
        return
