"""The systemd units, and what enables them."""

from __future__ import annotations

import re
from importlib import resources

from cri_shim.errors import InvalidArgument
from cri_shim.install.values import Content

SERVICE, SOCKET = "cri-shim.service", "cri-shim.socket"
DIRECTORY = "/etc/systemd/system"
PACKAGE_DIRECTORIES = ("/usr/lib/systemd/system", "/lib/systemd/system")
WANTED_BY = {SERVICE: "multi-user.target", SOCKET: "sockets.target"}

_PLAIN = re.compile(r"/[\w./+-]+")  # nothing that systemd would take for a specifier, a variable or a quote


def units(*, executable: str, address: str, gid: int) -> dict[str, Content]:
    """The units by name. `executable` starts cri-shim, `address` is the socket's path, `gid` may connect.

    Raises InvalidArgument for a path that would need to be quoted in a unit.
    """
    for path in (executable, address):
        if not _PLAIN.fullmatch(path):
            raise InvalidArgument(f"{path!r} can't stand in a systemd unit: give an absolute path without spaces")
    values = {"@EXECUTABLE@": executable, "@ADDRESS@": address, "@GROUP@": str(gid) if gid else "root"}
    return {name: Content(_filled(template(name), values)) for name in (SOCKET, SERVICE)}


def template(name: str) -> str:
    """The text of a unit, with @NAMES@ in it."""
    return resources.files("cri_shim.install").joinpath("units", name).read_text(encoding="utf-8")


def enabling(name: str, unit: str) -> tuple[str, Content]:
    """The link, and its path, by which `systemctl enable` has the unit of that file started at boot."""
    return f"{DIRECTORY}/{WANTED_BY[name]}.wants/{name}", Content(link=unit)


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text
