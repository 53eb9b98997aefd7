"""Classes of block I/O: what a file says, and what it comes to in a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.errors import InvalidArgument
from cri_shim.oci.blockio import DevicesParameters, block_io, parse
from cri_shim.oci.linux_spec import BlockIo, ThrottleDevice, WeightDevice
from cri_shim.oci.quantity import MOST

if TYPE_CHECKING:
    from collections.abc import Sequence

SDA, SDB = (8, 0), (8, 16)
BY_PATTERN = {"/dev/sd*": [SDA, SDB], "/dev/sda": [SDA], "/dev/sdb": [SDB], "/dev/none*": []}
KEYS = ("ThrottleReadBps", "ThrottleWriteBps", "ThrottleReadIOPS", "ThrottleWriteIOPS")


def devices(patterns: Sequence[str]) -> list[tuple[int, int]]:
    return [device for pattern in patterns for device in BY_PATTERN[pattern]]


def made(*parameters: dict[str, Any]) -> tuple[BlockIo, list[str]]:
    problems: list[str] = []
    (found,) = parse({"Classes": {"x": list(parameters)}}).values()
    return block_io(found, devices, problems.append), problems


def test_a_class_is_a_weight_for_all_and_limits_for_devices():
    limits, problems = made(
        {"Weight": 80},
        {"Devices": ["/dev/sd*"], "ThrottleReadBps": "50M", "ThrottleWriteBps": "1Mi", "ThrottleReadIOPS": "10k",
         "ThrottleWriteIOPS": 5, "Weight": "50"},
    )  # fmt: skip
    assert problems == []
    assert limits == BlockIo(
        weight=80,
        weight_device=[WeightDevice(8, 0, 50), WeightDevice(8, 16, 50)],
        throttle_read_bps_device=[ThrottleDevice(8, 0, 50_000_000), ThrottleDevice(8, 16, 50_000_000)],
        throttle_write_bps_device=[ThrottleDevice(8, 0, 1 << 20), ThrottleDevice(8, 16, 1 << 20)],
        throttle_read_iops_device=[ThrottleDevice(8, 0, 10_000), ThrottleDevice(8, 16, 10_000)],
        throttle_write_iops_device=[ThrottleDevice(8, 0, 5), ThrottleDevice(8, 16, 5)],
    )


def test_what_stands_later_takes_the_place_of_what_stands_earlier():
    limits, _ = made(
        {"Weight": 80},
        {"Weight": 90},
        {"Devices": ["/dev/sd*"], "ThrottleReadBps": 1, "Weight": 20},
        {"Devices": ["/dev/sdb"], "ThrottleReadBps": 2},
    )
    assert limits.weight == 90
    assert limits.throttle_read_bps_device == [ThrottleDevice(8, 0, 1), ThrottleDevice(8, 16, 2)]
    assert limits.weight_device == [WeightDevice(8, 0, 20), WeightDevice(8, 16, 20)]


def test_a_limit_may_be_nothing_at_all():
    assert made({"Devices": ["/dev/sda"], "ThrottleReadBps": "0"})[0].throttle_read_bps_device == [
        ThrottleDevice(8, 0, 0)
    ]
    assert made({"Devices": ["/dev/none*"], "Weight": 20})[0] == BlockIo()
    assert made({"Devices": [], "Weight": 20})[0] == BlockIo()


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"Weight": 9}, "Weight is 9: it must be from 10 to 1000"),
        ({"Weight": 1001}, "Weight is 1001"),
        ({"Weight": "heavy"}, "Weight: 'heavy' is no amount"),
        ({"Devices": ["/dev/sda"], "ThrottleWriteIOPS": -1}, "ThrottleWriteIOPS is -1"),
        ({"Devices": ["/dev/sda"], "ThrottleReadBps": "50 M"}, "ThrottleReadBps: '50 M' is no amount"),
        ({"ThrottleReadBps": 1, "ThrottleReadIOPS": 2}, "ThrottleReadBps, ThrottleReadIOPS without Devices"),
    ],
)
def test_what_makes_no_sense_is_told_and_the_rest_holds(item, problem):
    limits, problems = made({"Weight": 100}, item)
    assert limits == BlockIo(weight=100)
    assert [text[: len(problem)] for text in problems] == [problem]


def test_keys_are_read_without_regard_to_case_and_nothing_may_be_left_empty():
    assert parse({"classes": {"X": [{"weight": 20, "DEVICES": None}], "Y": None, "Z": []}}) == {
        "X": [DevicesParameters(weight="20")],  # type: ignore[arg-type]
        "Y": [],
        "Z": [],
    }
    assert parse(None) == parse({}) == parse({"Classes": None}) == {}


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "array"),
        ("text", "str"),
        ({"Clases": {}}, "clases"),
        ({"Classes": []}, r"\$\.classes"),
        ({"Classes": {"x": {}}}, r"\$\.classes"),
        ({"Classes": {"x": [{"Wait": 1}]}}, "wait"),
        ({"Classes": {"x": [{"Weight": [1]}]}}, "weight"),
        ({"Classes": {"x": [{"Devices": "/dev/sda"}]}}, "devices"),
        ({"Classes": {"x": [1]}}, r"\$\.classes"),
        ({"Classes": {1: []}}, "str"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_the_place(document, where):
    with pytest.raises(InvalidArgument, match=where):
        parse(document)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Classes", "Devices", "Weight", *KEYS]) | st.text(max_size=4), below, max_size=3
        )
    ),
    max_leaves=12,
)


@given(plain)
def test_whatever_the_document_it_is_classes_or_a_refusal(document):
    try:
        found = parse(document)
    except InvalidArgument:
        return
    for parameters in found.values():
        limits = block_io(parameters, lambda _: [SDA], lambda _: None)
        assert limits.weight is None or 10 <= limits.weight <= 1000
        for item in limits.throttle_read_bps_device:
            assert 0 <= item.rate <= MOST
