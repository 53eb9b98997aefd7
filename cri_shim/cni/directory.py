"""The configuration directory: which files count, in which order, and what is wrong with them.

As containerd reads it: files ending in .conf, .conflist or .json by name, the first `max_conf_num` of them; the first
one that is wrong fails the whole.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cri_shim import errors
from cri_shim.cni import network

if TYPE_CHECKING:
    from cri_shim.cni.network import Network, Plugin

_ENDINGS: Final = (".conf", ".conflist", ".json")


class ConfigurationError(errors.FailedPrecondition):
    """There is no usable configuration; the text names the directory or file, and why."""


class NothingConfigured(ConfigurationError):
    """The directory is there and readable, and holds no configuration: nobody has set up a network, or it was taken
    away on purpose.
    """


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one state of the directory from another: its entries' names, sizes, times and inodes."""

    files: tuple[tuple[str, int, int, int], ...]


def load(directory: str, max_conf_num: int) -> tuple[Network, ...]:
    """The networks of `directory`, at most `max_conf_num` (0: all), in the order of their files.

    Raises `ConfigurationError`.
    """
    paths = _paths(directory)
    if not paths:
        raise NothingConfigured(
            f"no network configuration (*.conflist, *.conf or *.json) in {directory}; "
            "the cluster's network add-on puts one there once it runs"
        )
    return tuple(_load_file(path) for path in paths[: max_conf_num or None])


def fingerprint(directory: str) -> Fingerprint:
    """The directory's present state, plugins' own files in directories below it included. Raises nothing: what can't
    be looked at is a state, too.
    """
    found = [_look(directory)]
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            found.append(_look(entry.path))
            if entry.is_dir(follow_symlinks=False):
                found.extend(_look(os.path.join(entry.path, name)) for name in sorted(os.listdir(entry.path)))
    return Fingerprint(tuple(found))


def _look(path: str) -> tuple[str, int, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return path, -1, -1, -1
    return path, status.st_size, status.st_mtime_ns, status.st_ino


def _paths(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError as error:
        raise ConfigurationError(f"the CNI configuration directory {directory} does not exist") from error
    except OSError as error:
        raise ConfigurationError(
            f"the CNI configuration directory {directory} can't be read: {error.strerror}"
        ) from error
    return sorted(os.path.join(directory, name) for name in names if os.path.splitext(name)[1] in _ENDINGS)


def _load_file(path: str) -> Network:
    try:
        data = _read(path)
        return _with_plugin_files(path, data) if path.endswith(".conflist") else network.from_single(data)
    except errors.InvalidArgument as error:
        raise ConfigurationError(f"CNI configuration file {path}: {error}") from error


def _with_plugin_files(path: str, data: bytes) -> Network:
    listed = network.parse_list(data)
    added = () if listed.inlined_only else _plugin_files(os.path.join(os.path.dirname(path), listed.name))
    if not added and not listed.plugins:
        raise errors.InvalidArgument("it has no plugins")
    return network.with_plugins(listed, added) if added else listed


def _plugin_files(directory: str) -> tuple[Plugin, ...]:
    """Plugins in files of their own: `<directory>/<network name>/*.conf` (specification 1.1.0)."""
    if not os.path.isdir(directory):
        return ()
    paths = [path for path in _paths(directory) if path.endswith(".conf")]
    return tuple(network.parse_plugin(_read(path)) for path in paths)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigurationError(f"CNI configuration file {path} can't be read: {error.strerror}") from error
