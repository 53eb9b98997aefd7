"""cri-shim's own configuration file, and crictl's, with what an installation needs in them: texts from texts."""

from __future__ import annotations

import re
from typing import Any

from cri_shim.config.migrate import SHIM

_ENDPOINTS = ("runtime-endpoint", "image-endpoint")


def with_pass_through(text: str, address: str) -> str:
    """The file with cri-shim at `address`, and containerd's own services behind it."""
    import tomlkit  # noqa: PLC0415  (for this alone)

    document: Any = tomlkit.parse(text or "version = 3\n")
    plugins = document.setdefault("plugins", tomlkit.table(is_super_table=True))
    table = plugins.setdefault(SHIM, tomlkit.table())
    table["address"] = address
    table["pass_through"] = True
    return tomlkit.dumps(document)


def crictl(text: str, address: str) -> str:
    """crictl.yaml with both endpoints at the socket `address`; other lines stay as they are."""
    for key in _ENDPOINTS:
        line = f"{key}: unix://{address}"
        text, found = re.subn(rf"^{key}:.*$", line, text, flags=re.MULTILINE)
        if not found:
            text = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"
    return text
