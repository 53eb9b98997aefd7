"""The JSON of stored CRI messages, against what encoding/json writes for the same structs."""

from __future__ import annotations

import json

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import DataLoss
from cri_shim.state.go_json import from_json_value, to_json_value


def test_zero_values_are_left_out_and_empty_messages_are_kept() -> None:
    context = cri.LinuxContainerSecurityContext(run_as_user=cri.Int64Value(), privileged=False)
    assert to_json_value(context) == {"run_as_user": {}}


def test_enums_are_integers_and_int64_are_numbers() -> None:
    options = cri.NamespaceOption(network=cri.NamespaceMode.NODE, pid=cri.NamespaceMode.POD)
    assert to_json_value(options) == {"network": 2}
    assert to_json_value(cri.Int64Value(value=2**53 + 1)) == {"value": 2**53 + 1}


def test_environment_values_are_strings_with_the_replacement_character_for_foreign_bytes() -> None:
    assert to_json_value(cri.KeyValue(key="A", value=b"b\xff")) == {"key": "A", "value": "b\ufffd"}


def test_names_that_the_proto_spells_in_camel_case_stay_so() -> None:
    mount = cri.Mount(uid_mappings=[cri.IdMapping(host_id=1, length=2)])
    assert to_json_value(mount) == {"uidMappings": [{"host_id": 1, "length": 2}]}
    config = cri.ContainerConfig(CDI_devices=[cri.CdiDevice(name="vendor/class=name")])
    assert to_json_value(config) == {"CDI_devices": [{"name": "vendor/class=name"}]}


def test_a_whole_config_survives_the_round_trip() -> None:
    config = cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name="web", namespace="default", uid="u", attempt=3),
        dns_config=cri.DnsConfig(),
        port_mappings=[cri.PortMapping(protocol=cri.Protocol.UDP, container_port=53, host_port=5353)],
        labels={"b": "2", "a": "<&>"},
        linux=cri.LinuxPodSandboxConfig(
            sysctls={"net.core.somaxconn": "128"},
            security_context=cri.LinuxSandboxSecurityContext(supplemental_groups=[1, 2]),
        ),
    )
    stored = json.loads(json.dumps(to_json_value(config)))
    assert stored["port_mappings"] == [{"protocol": 1, "container_port": 53, "host_port": 5353}]
    assert list(stored["labels"]) == ["a", "b"]
    assert stored["dns_config"] == {}
    assert from_json_value(cri.PodSandboxConfig, stored) == config


def test_unknown_keys_and_nulls_are_skipped() -> None:
    assert from_json_value(cri.Int64Value, {"value": 3, "more": 1}) == cri.Int64Value(value=3)
    assert from_json_value(cri.Mount, {"uidMappings": None}) == cri.Mount()


@pytest.mark.parametrize("value", [[], "x", {"metadata": 3}, {"labels": [1]}, {"log_directory": 5}])
def test_a_damaged_record_is_refused_with_the_field_that_is_damaged(value: object) -> None:
    with pytest.raises(DataLoss, match=r"PodSandboxConfig|PodSandboxMetadata"):
        from_json_value(cri.PodSandboxConfig, value)  # type: ignore[arg-type]
