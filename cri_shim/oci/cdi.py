"""What the Container Device Interface calls a device, and which devices a container asks for.

Source: CDI's SPEC.md ("Kinds", "Device names") and `pkg/parser`; containerd `internal/cri/opts/spec_linux.go`
(`WithCDI`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cri_shim.api.runtime import v1 as cri

ANNOTATIONS = "cdi.k8s.io/"  # the beginning of an annotation's key
_PART = r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?"
KIND = re.compile(rf"{_PART}/{_PART}")
NAME = re.compile(_NAME)
_QUALIFIED = re.compile(rf"{_PART}/{_PART}={_NAME}")


def requested(config: cri.ContainerConfig, *, enabled: bool) -> list[str]:
    """The qualified names of the devices that a container asks for, each once: those of the field, then annotations'.

    Not enabled, annotations say nothing. Raises InvalidArgument for a name that isn't qualified, and for devices in the
    field where they are not enabled: a container must not run without what it was promised.
    """
    if config.CDI_devices and not enabled:
        raise InvalidArgument(
            f"config.CDI_devices has {config.CDI_devices[0].name!r}, but enable_cdi is false in the configuration"
        )
    if not enabled:
        return []
    asked = [*_of_field(config.CDI_devices), *_of_annotations(config.annotations.items())]
    return list(dict.fromkeys(asked))


def _of_field(devices: Iterable[cri.CdiDevice]) -> Iterator[str]:
    for index, device in enumerate(devices):
        yield _qualified(f"config.CDI_devices[{index}].name", device.name)


def _of_annotations(annotations: Iterable[tuple[str, str]]) -> Iterator[str]:
    for key, value in sorted(annotations):
        if key.startswith(ANNOTATIONS):
            for name in value.split(","):
                yield _qualified(f"config.annotations[{key!r}]", name)


def _qualified(field: str, name: str) -> str:
    if not _QUALIFIED.fullmatch(name):
        raise InvalidArgument(
            f"{field} is {name!r:.200}: it must be the qualified name of a CDI device, vendor/class=name"
        )
    return name
