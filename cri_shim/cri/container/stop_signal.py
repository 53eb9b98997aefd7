"""Which signal ends a container: names as the CRI, images and runtimes spell them.

The CRI's enum spells real-time signals `SIGRTMINPLUS3`, images and runtimes `SIGRTMIN+3`. Numbers are Linux's, where
glibc keeps 32 and 33 for itself: SIGRTMIN is 34.
"""

from __future__ import annotations

import re
import signal

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument

DEFAULT = "SIGTERM"
_REAL_TIME = re.compile(r"SIG(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?$")
_ALIASES = {"SIGIOT": "SIGABRT", "SIGPOLL": "SIGIO", "SIGCLD": "SIGCHLD"}


def oci_name(wanted: cri.Signal) -> str:
    """The CRI's enum value as runtimes spell it; "" for the runtime's default."""
    if wanted == cri.Signal.RUNTIME_DEFAULT:
        return ""
    try:
        name = str(cri.Signal(wanted).name)
    except ValueError:
        name = ""
    if not name.startswith("SIG"):
        raise InvalidArgument(f"config.stop_signal {int(wanted)} is no signal that the CRI knows: use one of its enum")
    return name.replace("PLUS", "+").replace("MINUS", "-")


def number(name: str) -> int:
    """The number of the signal `name` (`SIGTERM`, `TERM`, `SIGRTMIN+3`, `15`); InvalidArgument for no signal."""
    text = name.strip().upper()
    if text.isdecimal() and 1 <= int(text) <= 64:  # noqa: PLR2004  (Linux's signals)
        return int(text)
    text = text if text.startswith("SIG") else f"SIG{text}"
    if (match := _REAL_TIME.fullmatch(text)) is not None:
        base = signal.SIGRTMIN if match[1] == "RTMIN" else signal.SIGRTMAX
        found = int(base) + int(f"{match[2] or '+'}{match[3] or 0}")
        if signal.SIGRTMIN <= found <= signal.SIGRTMAX:
            return found
    elif (known := getattr(signal.Signals, _ALIASES.get(text, text), None)) is not None:
        return int(known)
    raise InvalidArgument(f"stop signal {name!r} is unknown: use a name like SIGTERM or SIGRTMIN+3, or a number")


def cri_signal(wanted: cri.Signal, stored: str) -> cri.Signal:
    """The signal to report: what was asked for, else the stored one, else SIGTERM."""
    if wanted != cri.Signal.RUNTIME_DEFAULT:
        return wanted
    try:
        name = signal.Signals(number(stored or DEFAULT)).name
    except (ValueError, InvalidArgument):
        name = (stored or DEFAULT).upper().replace("+", "PLUS").replace("-", "MINUS")
    return getattr(cri.Signal, name, cri.Signal.SIGTERM)
