"""Classes of block I/O as an operator writes them, and what one comes to in a spec.

Source: goresctrl `pkg/blockio` (`config.go`, `blockio.go`, `oci.go`), whose file containerd's tasks service reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from cri_shim.errors import InvalidArgument
from cri_shim.oci.cdi_spec import Text, text
from cri_shim.oci.linux_spec import BlockIo, ThrottleDevice, WeightDevice
from cri_shim.oci.quantity import MOST, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Device = tuple[int, int]
"""The major and minor number of a block device."""

_WEIGHTS: Final = (10, 1000)
_RATES: Final = {
    "throttle_read_bps": "ThrottleReadBps",
    "throttle_write_bps": "ThrottleWriteBps",
    "throttle_read_iops": "ThrottleReadIOPS",
    "throttle_write_iops": "ThrottleWriteIOPS",
}


def _key(field: str) -> str:
    return field.replace("_", "")


class DevicesParameters(msgspec.Struct, frozen=True, rename=_key, forbid_unknown_fields=True):
    """What holds for some devices, named by patterns; without any, a weight is for all."""

    devices: list[str] | None = None
    throttle_read_bps: Text = Text()
    throttle_write_bps: Text = Text()
    throttle_read_iops: Text = Text()
    throttle_write_iops: Text = Text()
    weight: Text = Text()


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    classes: dict[str, list[DevicesParameters] | None] | None = None


def parse(document: object) -> dict[str, list[DevicesParameters]]:
    """The classes in a document of plain values. Raises InvalidArgument, saying what is wrong and where."""
    try:
        found = msgspec.convert(_lowered({} if document is None else document), _Document, dec_hook=text)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error)) from error
    return {name: parameters or [] for name, parameters in (found.classes or {}).items()}


def _lowered(document: object) -> object:
    """The keys without regard to case, as Go matches them; the classes' names are what they are."""
    if not isinstance(document, dict):
        return document
    top = _lower_keys(document)
    classes = top.get("classes")
    if isinstance(classes, dict):
        top["classes"] = {
            name: [_lower_keys(item) if isinstance(item, dict) else item for item in items]
            if isinstance(items, list)
            else items
            for name, items in classes.items()
        }
    return top


def _lower_keys(table: Mapping[object, object]) -> dict[object, object]:
    return {key.lower() if isinstance(key, str) else key: value for key, value in table.items() if value is not None}


@dataclass
class _Gathered:
    """What the parameters of a class come to: a device's later number takes the place of an earlier one."""

    weight: int | None = None
    weights: dict[Device, int] = field(default_factory=dict)
    rates: dict[str, dict[Device, int]] = field(default_factory=lambda: {name: {} for name in _RATES})


def block_io(
    parameters: Sequence[DevicesParameters],
    devices: Callable[[Sequence[str]], Sequence[Device]],
    problem: Callable[[str], None],
) -> BlockIo:
    """A class's limits, `devices` being asked which block devices match patterns.

    What makes no sense is left out, and told to `problem`; the rest holds.
    """
    found = _Gathered()
    for item in parameters:
        weight, rates = _weight(item, problem), dict(_rates(item, problem))
        if item.devices is None:
            found.weight = found.weight if weight is None else weight
            if rates:
                problem(
                    f"{', '.join(_RATES[name] for name in rates)} without Devices: a rate is for devices, name them"
                )
            continue
        for device in devices(item.devices):
            if weight is not None:
                found.weights[device] = weight
            for name, rate in rates.items():
                found.rates[name][device] = rate
    return BlockIo(
        weight=found.weight,
        weight_device=[WeightDevice(*device, weight) for device, weight in found.weights.items()],
        throttle_read_bps_device=_throttled(found.rates["throttle_read_bps"]),
        throttle_write_bps_device=_throttled(found.rates["throttle_write_bps"]),
        throttle_read_iops_device=_throttled(found.rates["throttle_read_iops"]),
        throttle_write_iops_device=_throttled(found.rates["throttle_write_iops"]),
    )


def _throttled(rates: Mapping[Device, int]) -> list[ThrottleDevice]:
    return [ThrottleDevice(*device, rate) for device, rate in rates.items()]


def _weight(item: DevicesParameters, problem: Callable[[str], None]) -> int | None:
    return _number("Weight", item.weight, *_WEIGHTS, problem)


def _rates(item: DevicesParameters, problem: Callable[[str], None]) -> Iterator[tuple[str, int]]:
    for name, key in _RATES.items():
        rate = _number(key, getattr(item, name), 0, MOST, problem)
        if rate is not None:
            yield name, rate


def _number(key: str, written: str, least: int, most: int, problem: Callable[[str], None]) -> int | None:
    if not written:
        return None
    try:
        number = whole(written)
    except ValueError as error:
        problem(f"{key}: {error}")
        return None
    if not least <= number <= most:
        problem(f"{key} is {written}: it must be from {least} to {most}")
        return None
    return number
