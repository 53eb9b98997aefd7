"""Versions of the CNI specification: which there are, and which is the later."""

from __future__ import annotations

from typing import Final

from cri_shim import errors

SUPPORTED: Final = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST: Final = SUPPORTED[-1]

PREV_RESULT_ON_DELETE: Final = "0.4.0"
CHECK: Final = "0.4.0"
STATUS: Final = "1.1.0"

_PARTS: Final = 3


def parse(version: str) -> tuple[int, int, int]:
    """The version as numbers; none given means 0.1.0, missing parts are 0.

    Raises `errors.InvalidArgument` for anything else than up to three numbers.
    """
    parts = (version or SUPPORTED[0]).split(".")
    if len(parts) > _PARTS or not all(part.isascii() and part.isdigit() for part in parts):
        raise errors.InvalidArgument(f"cniVersion {version!r} is not a version such as {NEWEST!r}")
    major, minor, patch = [int(part) for part in [*parts, "0", "0"]][:_PARTS]
    return major, minor, patch


def at_least(version: str, wanted: str) -> bool:
    """Whether `version` is `wanted` or later."""
    return parse(version) >= parse(wanted)
