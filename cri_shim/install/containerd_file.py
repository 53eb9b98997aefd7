"""containerd's configuration with its CRI plugin off, and with its socket elsewhere: texts from texts.

Where the file imports a directory, ours is a file in that directory, and the operator's is left alone. Else the file is
edited as a person would: comments, order and quoting stay. Source: containerd `cmd/containerd/server/config/config.go`,
for how files are merged and which tables version 4 reads.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cri_shim.config.migrate import CRI
from cri_shim.config.source import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "99-cri-shim.toml"  # sorted last: what it says of containerd's sockets wins
_SERVERS_ARE_PLUGINS = 4  # from this version of the file on


@dataclass(frozen=True)
class Sockets:
    """Where containerd is to listen; `ttrpc` is where the shims that run report to, and must not move."""

    grpc: str
    ttrpc: str


def imported_directory(main: str, imports: Sequence[str]) -> str:
    """The directory of which the file `main` imports every `*.toml`; "" when there is none."""
    for pattern in imports:
        directory, name = os.path.split(os.path.normpath(os.path.join(os.path.dirname(main), pattern)))
        if name in ("*", "*.toml") and "*" not in directory:
            return directory
    return ""


def fragment(sockets: Sockets | None) -> str:
    """A file for a directory that containerd imports."""
    lines = [
        "# Written by `cri-shim install`, removed by `cri-shim uninstall`: cri-shim serves the CRI.",
        "version = 3",
        f"disabled_plugins = ['{CRI}']",
    ]
    if sockets:
        lines += ["", "[grpc]", f"  address = '{sockets.grpc}'", "", "[ttrpc]", f"  address = '{sockets.ttrpc}'"]
    return "\n".join(lines) + "\n"


def edited(text: str, sockets: Sockets | None) -> str:
    """The operator's own file, which says the same with it."""
    import tomlkit  # noqa: PLC0415  (for this alone)

    document: Any = tomlkit.parse(text)
    if sockets and document.get("version", 1) >= _SERVERS_ARE_PLUGINS:
        plugins = _table(document, "plugins")
        _table(plugins, "io.containerd.server.v1.grpc")["address"] = sockets.grpc
        _table(plugins, "io.containerd.server.v1.ttrpc")["address"] = sockets.ttrpc
    elif sockets:
        _table(document, "grpc")["address"] = sockets.grpc
        _table(document, "ttrpc")["address"] = sockets.ttrpc
    if "disabled_plugins" not in document:
        return _with_line(tomlkit.dumps(document), f'disabled_plugins = ["{CRI}"]')
    if CRI not in document["disabled_plugins"]:
        document["disabled_plugins"].append(CRI)
    return tomlkit.dumps(document)


def _with_line(text: str, line: str) -> str:
    """`text` with a key of the top level more: after its version, else as the first line."""
    lines = text.splitlines(keepends=True)
    after = Origin("", text, ("version",)).line or 0
    if after and not lines[after - 1].endswith("\n"):
        lines[after - 1] += "\n"
    return "".join([*lines[:after], f"{line}\n", *lines[after:]])


def _table(above: Any, name: str) -> Any:
    import tomlkit  # noqa: PLC0415  (as above)

    if name not in above:
        above[name] = tomlkit.table()
    return above[name]
