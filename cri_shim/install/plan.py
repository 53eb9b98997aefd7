"""From what is there and what is asked for to what is to be done: a decision about values, without I/O.

What is already as it should be is no part of the plan, so that a second installation plans nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.config.loader import CONTAINERD_FILE, OWN_FILE
from cri_shim.config.migrate import CRI
from cri_shim.errors import FailedPrecondition
from cri_shim.install import containerd_file, own_file, unit_files
from cri_shim.install.found import CRICTL_FILE
from cri_shim.install.values import Change, Content, Mode, Plan

if TYPE_CHECKING:
    from cri_shim.install.found import Found

_SYSTEMCTL = "systemctl"
_MODES: dict[Mode, str] = {"own-socket": "cri-shim install", "drop-in": "cri-shim install --drop-in"}


@dataclass(frozen=True)
class Asked:
    """What the operator has asked for; `executable` is the installed system's path of the cri-shim command."""

    mode: Mode
    executable: str


@dataclass(frozen=True)
class _Addresses:
    """The socket that clients dial, and the two of containerd's."""

    public: str
    containerd: containerd_file.Sockets


def plan(found: Found, asked: Asked) -> Plan:
    """The whole plan. Raises FailedPrecondition where the other mode is installed, InvalidArgument for a bad path."""
    if found.manifest and found.manifest.mode != asked.mode:
        raise FailedPrecondition(
            f"`{_MODES[found.manifest.mode]}` was done here: undo it first, by `cri-shim uninstall --apply`"
        )
    addresses = _addresses(found, asked.mode)
    changes = [
        *_containerd(found, asked.mode, addresses),
        *_own(found, asked.mode, addresses.public),
        *_units(found, asked.executable, addresses.public),
        *_crictl(found, addresses.public),
    ]
    needed = tuple(change for change in changes if change.before != change.after)
    return Plan(needed, _commands(needed) if found.live else (), _notes(found, needed, addresses.public))


def _addresses(found: Found, mode: Mode) -> _Addresses:
    """Where everybody is to listen. A drop-in takes containerd's path, and moves containerd to one beside it."""
    shim, grpc = found.settings.shim, found.settings.containerd.grpc.address
    ttrpc = found.settings.containerd.ttrpc.address or f"{grpc}.ttrpc"
    if mode == "own-socket" or (shim.pass_through and shim.address != grpc):
        return _Addresses(shim.address, containerd_file.Sockets(grpc, ttrpc))
    stem, extension = os.path.splitext(grpc)
    return _Addresses(grpc, containerd_file.Sockets(f"{stem}-own{extension}", ttrpc))


def _containerd(found: Found, mode: Mode, addresses: _Addresses) -> list[Change]:
    containerd = found.settings.containerd
    moves = addresses.containerd if mode == "drop-in" else None
    if CRI in containerd.disabled_plugins and (moves is None or containerd.grpc.address == moves.grpc):
        return []
    why = "containerd's own CRI plugin off" + (", its socket beside the one that clients know" if moves else "")
    if found.import_directory:
        path = os.path.join(found.import_directory, containerd_file.NAME)
        return [_change(found, path, Content(containerd_file.fragment(moves)), why)]
    before = found.contents[CONTAINERD_FILE]
    text = containerd_file.edited(before.text if before else "version = 3\n", moves)
    return [_change(found, CONTAINERD_FILE, Content(text, before.mode if before else 0o644), why)]


def _own(found: Found, mode: Mode, public: str) -> list[Change]:
    shim = found.settings.shim
    if mode == "own-socket" or (shim.pass_through and shim.address == public):
        return []
    before = found.contents[OWN_FILE]
    text = own_file.with_pass_through(before.text if before else "", public)
    why = "cri-shim at containerd's path, and containerd's other services behind it"
    return [_change(found, OWN_FILE, Content(text, before.mode if before else 0o644), why)]


def _units(found: Found, executable: str, public: str) -> list[Change]:
    """The units, unless a package has brought just these, and the links that have them started at boot."""
    changes = []
    wanted = unit_files.units(executable=executable, address=public, gid=found.settings.shim.gid)
    for name, unit in wanted.items():
        path = f"{unit_files.DIRECTORY}/{name}"
        packaged = [f"{place}/{name}" for place in unit_files.PACKAGE_DIRECTORIES]
        same = [place for place in packaged if (there := found.contents[place]) and there.text == unit.text]
        if same and found.contents[path] is None:
            path = same[0]
        else:
            changes.append(_change(found, path, unit, "a unit of systemd's"))
        link, content = unit_files.enabling(name, path)
        changes.append(_change(found, link, content, f"{name} starts at boot"))
    return changes


def _crictl(found: Found, public: str) -> list[Change]:
    before = found.contents[CRICTL_FILE]
    text = own_file.crictl(before.text if before else "", public)
    return [_change(found, CRICTL_FILE, Content(text, before.mode if before else 0o644), "crictl asks cri-shim")]


def _change(found: Found, path: str, after: Content, why: str) -> Change:
    return Change(path, why, found.contents[path], after)


def _commands(changes: tuple[Change, ...]) -> tuple[tuple[str, ...], ...]:
    """First containerd: in its new place, it has left the old one to us."""
    if not changes:
        return ()
    containerd = (_SYSTEMCTL, "restart", "containerd.service")
    moved = any(change.path.startswith(os.path.dirname(CONTAINERD_FILE)) for change in changes)
    return (
        (_SYSTEMCTL, "daemon-reload"),
        *([containerd] if moved else []),
        (_SYSTEMCTL, "restart", unit_files.SOCKET, unit_files.SERVICE),
    )


def _notes(found: Found, changes: tuple[Change, ...], public: str) -> tuple[str, ...]:
    if not changes:
        return ()
    notes = [] if found.live else ["systemd is not asked to do anything: the units start at the next boot"]
    if not found.settings.shim.pass_through and public == found.settings.shim.address:
        notes.append(f"the kubelet is to be told: --container-runtime-endpoint=unix://{public}")
    return tuple(notes)
