"""Python source made into a function: what the encoder and the decoder writers share."""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def indented(lines: Iterable[str], levels: int = 1) -> list[str]:
    """The lines, moved right by `levels`."""
    return ["    " * levels + line for line in lines]


def name_for(cls: type, prefix: str, names: dict[str, Any]) -> str:
    """The name under which `cls` stands in `names`; it is put there under a free one when it doesn't yet."""
    name = f"{prefix}_{cls.__name__}"
    while names.setdefault(name, cls) is not cls:
        name += "_"
    return name


@dataclass(frozen=True, slots=True)
class Written:
    """The source of the function `name`, and its globals: `namespace`, and what the names in `nested` stand for.

    A nested one is compiled apart, and its function put into the namespace under that name.
    """

    name: str
    lines: list[str]
    namespace: dict[str, Any]
    nested: dict[str, Any]

    def compiled(self, title: str) -> Any:
        """The function. Tracebacks and profilers show `title` where a file's name stands, and the generated lines."""
        text = "\n".join(self.lines) + "\n"
        filename = f"<cri_shim.codec {title}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        exec(compile(text, filename, "exec"), self.namespace)  # noqa: S102  (written here, from classes' metadata alone)
        return self.namespace[self.name]
