"""What an installation finds on a system, read before anything is decided: files, settings, the record of a former one.

`root` is the directory that will be `/` one day: "/" itself on a running node, another one when an image is built.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from cri_shim.config import load
from cri_shim.config.loader import CONTAINERD_FILE, OWN_FILE
from cri_shim.errors import FailedPrecondition
from cri_shim.install import unit_files
from cri_shim.install.containerd_file import NAME, imported_directory
from cri_shim.install.values import MANIFEST, Content, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.config import Settings

CRICTL_FILE = "/etc/crictl.yaml"


@dataclass(frozen=True)
class Found:
    """`contents` has each path that an installation may touch, None where nothing is; `live` is a running systemd's."""

    settings: Settings
    contents: Mapping[str, Content | None]
    import_directory: str  # of containerd's configuration; "" without one
    manifest: Manifest | None
    live: bool


def find(root: str, *, live: bool) -> Found:
    """Read a system. Raises ConfigInvalid for a configuration that can't be used, OSError for what can't be read."""
    main = read(root, CONTAINERD_FILE)
    imports = _imports(main.text) if main else []
    directory = imported_directory(CONTAINERD_FILE, imports)
    files = [path for path in (CONTAINERD_FILE, OWN_FILE) if read(root, path)]
    paths = [CONTAINERD_FILE, OWN_FILE, CRICTL_FILE]
    paths += [os.path.join(directory, NAME)] if directory else []
    for unit in (unit_files.SOCKET, unit_files.SERVICE):
        places = (unit_files.DIRECTORY, *unit_files.PACKAGE_DIRECTORIES)
        paths += [*(f"{place}/{unit}" for place in places), unit_files.enabling(unit, "")[0]]
    return Found(
        settings=load(files, root=root).settings,
        contents={path: read(root, path) for path in paths},
        import_directory=directory,
        manifest=recorded(root),
        live=live and systemd_runs(),
    )


def systemd_runs() -> bool:
    """Whether systemd is the init of this system. Source: sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def inside(root: str, path: str) -> str:
    """Where the system's `path` is now."""
    return os.path.join(root, path.lstrip("/"))


def read(root: str, path: str) -> Content | None:
    """The file or link at the system's `path`."""
    place = inside(root, path)
    try:
        status = os.lstat(place)
        if stat.S_ISLNK(status.st_mode):
            return Content(link=os.readlink(place))
        with open(place, encoding="utf-8") as file:
            return Content(file.read(), stat.S_IMODE(status.st_mode))
    except (FileNotFoundError, NotADirectoryError):
        return None


def recorded(root: str) -> Manifest | None:
    """The record of the installation that is there. Raises FailedPrecondition for one that can't be read."""
    found = read(root, MANIFEST)
    try:
        return msgspec.json.decode(found.text, type=Manifest) if found else None
    except msgspec.DecodeError as error:
        raise FailedPrecondition(f"{MANIFEST} can't be read, so nothing can be undone by it: {error}") from error


def _imports(text: str) -> list[str]:
    try:
        imports = tomllib.loads(text).get("imports", [])
    except tomllib.TOMLDecodeError:
        return []  # which loading the settings tells of, with file and line
    return [pattern for pattern in imports if isinstance(pattern, str)] if isinstance(imports, list) else []
