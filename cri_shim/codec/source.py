"""Python source made into a function: what the encoder and the decoder writers share."""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    """The lines, moved right by `levels`."""
    return ["    " * levels + line for line in lines]


def function(name: str, title: str, lines: Sequence[str], namespace: dict[str, Any]) -> Any:
    """The function `name` that `lines` define, with `namespace` as its globals.

    `title` stands where tracebacks and profilers show a file's name; tracebacks show the generated lines.
    """
    text = "\n".join(lines) + "\n"
    filename = f"<cri_shim.codec {title}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), namespace)  # noqa: S102  (written here, from the classes' own metadata alone)
    return namespace[name]
