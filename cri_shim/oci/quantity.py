"""Kubernetes' way to write an amount: `50M`, `1Ki`, `0.5`, `2e3`.

Source: Kubernetes `apimachinery/pkg/api/resource` (`ParseQuantity`, `Quantity.Value`).
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Final

MOST: Final = (1 << 63) - 1  # what is more counts as this

_AMOUNT: Final = re.compile(r"([+-]?)(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(.*)", re.DOTALL)
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)")
_LARGEST_EXPONENT: Final = 30  # of ten: far beyond what is more than MOST, or less than anything that counts
_SUFFIXES: Final = {
    **{name: Fraction(10) ** power for name, power in zip("num", (-9, -6, -3), strict=True)},
    **{name: Fraction(1000) ** power for power, name in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{f"{name}i": Fraction(1024) ** (power + 1) for power, name in enumerate("KMGTPE")},
}


def whole(text: str) -> int:
    """The amount as a whole number, rounded away from zero, at most `MOST` either way. ValueError for what is none."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no amount: it is a number, and k, M, G, Ki, Mi, Gi, … may follow it")
    sign, digits, decimals, suffix = found.groups()
    amount = Fraction(int(digits + (decimals or "")), 10 ** len(decimals or "")) * _factor(text, suffix)
    rounded = min(math.ceil(amount), MOST)
    return -rounded if sign == "-" else rounded


def _factor(text: str, suffix: str) -> Fraction:
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None:
        raise ValueError(f"{text!r} is no amount: nothing is counted in {suffix!r}, but in k, M, G, Ki, Mi, Gi, …")
    return Fraction(10) ** max(-_LARGEST_EXPONENT, min(int(exponent[1]), _LARGEST_EXPONENT))
