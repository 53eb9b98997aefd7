"""Kubernetes' bandwidth annotations, and the quantities they are written in."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from cri_shim import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

_INGRESS: Final = "kubernetes.io/ingress-bandwidth"
_EGRESS: Final = "kubernetes.io/egress-bandwidth"
_BURST: Final = (1 << 32) - 1
_LEAST: Final = 10**3
_MOST: Final = 10**15
_QUANTITY: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?")
_DECIMAL: Final = {suffix: Decimal(1000) ** power for power, suffix in enumerate("num kMGTPE", -3)}
_BINARY: Final = {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}


class Bandwidth(msgspec.Struct, frozen=True, rename="pascal"):
    """The `bandwidth` capability's value, in bits a second and bits; 0 is no limit."""

    ingress_rate: int = 0
    ingress_burst: int = 0
    egress_rate: int = 0
    egress_burst: int = 0


def from_annotations(annotations: Mapping[str, str]) -> Bandwidth | None:
    """The limits that a pod's annotations ask for, if any.

    Raises `errors.InvalidArgument` for a value that is no quantity, or not from 1k to 1P.
    """
    ingress, egress = _rate(annotations, _INGRESS), _rate(annotations, _EGRESS)
    if ingress is None and egress is None:
        return None
    return Bandwidth(ingress or 0, _BURST if ingress else 0, egress or 0, _BURST if egress else 0)


def parse_quantity(text: str) -> int:
    """A Kubernetes quantity (`10M`, `1.5Gi`, `2e6`) as a whole number, rounded up.

    Raises `errors.InvalidArgument` when it is none.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise errors.InvalidArgument(f"{text!r} is not a quantity such as 10M or 1Gi")
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY:
        number *= _BINARY[suffix]
    elif suffix[:1] in ("e", "E") and len(suffix) > 1:
        number = number.scaleb(int(suffix[1:]))
    else:
        number *= _DECIMAL[suffix or " "]
    return int(number.to_integral_value(rounding=ROUND_CEILING))


def _rate(annotations: Mapping[str, str], name: str) -> int | None:
    text = annotations.get(name)
    if text is None:
        return None
    try:
        rate = parse_quantity(text)
    except errors.InvalidArgument as error:
        raise error.because(f"pod annotation {name}") from error
    if not _LEAST <= rate <= _MOST:
        raise errors.InvalidArgument(f"pod annotation {name}: {text!r} is not from 1k to 1P bits a second")
    return rate
