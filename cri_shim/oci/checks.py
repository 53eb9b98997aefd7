"""What a single value of a request must be: each check raises InvalidArgument with field, value and what is allowed."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HOSTNAME_BYTES = 64  # HOST_NAME_MAX of the kernel
_SHOWN = 200


def no_nul(field: str, value: str) -> None:
    """A string of the kernel's: there a NUL ends it, and what follows would be lost in silence."""
    if "\0" in value:
        raise InvalidArgument(f"{field} is {value!r:.{_SHOWN}}: it must not have a NUL byte")


def word(field: str, value: str) -> None:
    """A word in a line of a file: without spaces and line ends, that nothing be added to the file."""
    if any(character.isspace() or not character.isprintable() for character in value):
        raise InvalidArgument(f"{field} is {value!r:.{_SHOWN}}: it must be one word, without spaces and line ends")


def absolute(field: str, path: str) -> None:
    """An absolute path, or none."""
    no_nul(field, path)
    if path and not posixpath.isabs(path):
        raise InvalidArgument(f"{field} is {path!r:.{_SHOWN}}: it must be an absolute path")


def inside(field: str, path: str) -> None:
    """A path below something, however it is written."""
    no_nul(field, path)
    if ".." in path.split("/"):
        raise InvalidArgument(f"{field} is {path!r:.{_SHOWN}}: it must not have '..'")


def one_of(field: str, value: Any, allowed: Iterable[Any]) -> None:
    """A value of an enum; one that the generated code doesn't know is shown as its number."""
    allowed = tuple(allowed)
    if value not in allowed:
        name = getattr(value, "name", None) or int(value)
        raise InvalidArgument(f"{field} is {name}: use {' or '.join(str(item.name) for item in allowed)}")


def hostname(field: str, value: str) -> None:
    """A name that the kernel takes, and that is one word in /etc/hostname."""
    word(field, value)
    if (size := len(value.encode())) > MAX_HOSTNAME_BYTES:
        raise InvalidArgument(
            f"{field} is {value!r:.{_SHOWN}}, of {size} bytes: the kernel takes at most {MAX_HOSTNAME_BYTES}"
        )
