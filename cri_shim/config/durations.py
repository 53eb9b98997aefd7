"""Go's durations, which containerd's configuration is written in: "1h30m", "500ms", "1.5s"; a bare "0" is zero.

Source: Go's `time.ParseDuration` and `Duration.String`, the grammar and the units included; a duration is a signed
64-bit count of nanoseconds there, and the same bounds hold here.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, TypeAlias

Seconds: TypeAlias = Annotated[float, "a Go duration"]
"""A time span in seconds; a field of this type is a Go duration in a configuration file."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)
_LIMIT = 1 << 63


def parse_nanoseconds(text: str) -> int:
    """The nanoseconds that a Go duration stands for; ValueError, saying what is allowed, for anything else."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    while match := _TERM.match(rest, position):
        total += int(Decimal(match[1]) * _UNITS[match[2]])
        position = match.end()
    if position == 0 or position != len(rest):
        raise ValueError(f'{text!r} is not a duration such as "10s", "1m30s" or "500ms" (units: h, m, s, ms, us, ns)')
    if total > _LIMIT - (sign > 0):
        raise ValueError(f"{text!r} is longer than the 292 years that a duration can hold")
    return sign * total


def parse(text: str) -> Seconds:
    """As `parse_nanoseconds`, in seconds."""
    return parse_nanoseconds(text) / 1e9


def render_nanoseconds(span: int) -> str:
    """The span as Go prints it: "1h30m0s", "1.5s", "500ms", "0s"."""
    sign, span = ("-", -span) if span < 0 else ("", span)
    if span == 0:
        return "0s"
    for unit in ("ns", "\u00b5s", "ms"):
        if span < _UNITS[unit] * 1000:
            return f"{sign}{_decimal(span, _UNITS[unit])}{unit}"
    minutes, rest = divmod(span, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    whole = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{whole}{_decimal(rest, _UNITS['s'])}s"


def render(span: Seconds) -> str:
    """As `render_nanoseconds`, from seconds, rounded to the nanosecond."""
    return render_nanoseconds(round(span * 1e9))


def _decimal(count: int, unit: int) -> str:
    whole, rest = divmod(count, unit)
    fraction = str(unit + rest)[1:].rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)
