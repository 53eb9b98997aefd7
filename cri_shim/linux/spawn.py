"""posix_spawn(3) by ctypes: `os.posix_spawn` holds the GIL until the child has exec'ed, a millisecond and more in which
the loop stands still; this one lets it go, and knows a working directory, too.

The C library's two objects are opaque; they are given room to spare (glibc and musl need 80 and 336 bytes).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SETSIGDEF: Final = 0x04
_SETSIGMASK: Final = 0x08
_SETSID: Final = 0x80
_ROOM: Final = 1024

_libc = ctypes.CDLL(None)
_libc.posix_spawn.argtypes = [ctypes.c_void_p] * 6


def spawn(argv: Sequence[str], env: Mapping[str, str], fds: Sequence[int], cwd: str | None) -> int:
    """Start `argv` (`argv[0]` is a path) as the leader of a new session, and return its process id.

    Its descriptors 0, 1, … are `fds`; its environment is `env` alone; no signal is blocked, and none ignored that
    Python ignores. Raises `OSError`, also when the program can't be executed; blocks until that is known.
    """
    actions, attributes = ctypes.create_string_buffer(_ROOM), ctypes.create_string_buffer(_ROOM)
    pid = ctypes.c_int()
    _check(_libc.posix_spawn_file_actions_init(actions))
    _check(_libc.posix_spawnattr_init(attributes))
    try:
        for number, fd in enumerate(fds):
            _check(_libc.posix_spawn_file_actions_adddup2(actions, fd, number))
        if cwd is not None:
            _check(_libc.posix_spawn_file_actions_addchdir_np(actions, os.fsencode(cwd)))
        _restore_signals(attributes)
        path, arguments = os.fsencode(argv[0]), _strings(argv)
        environment = _strings([f"{key}={value}" for key, value in env.items()])
        code = _libc.posix_spawn(ctypes.byref(pid), path, actions, attributes, arguments, environment)
        _check(code, argv[0])
    finally:
        _libc.posix_spawnattr_destroy(attributes)
        _libc.posix_spawn_file_actions_destroy(actions)
    return pid.value


def _restore_signals(attributes: ctypes.Array[ctypes.c_char]) -> None:
    defaults, blocked = ctypes.create_string_buffer(_ROOM), ctypes.create_string_buffer(_ROOM)
    _libc.sigemptyset(defaults)
    _libc.sigemptyset(blocked)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        _libc.sigaddset(defaults, number)
    _check(_libc.posix_spawnattr_setsigdefault(attributes, defaults))
    _check(_libc.posix_spawnattr_setsigmask(attributes, blocked))
    _check(_libc.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSID | _SETSIGDEF | _SETSIGMASK)))


def _strings(values: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    """A C array of C strings; one that a zero byte would cut short is refused."""
    for value in values:
        if "\0" in value:
            raise OSError(errno.EINVAL, f"a zero byte in {value!r}")
    return (ctypes.c_char_p * (len(values) + 1))(*map(os.fsencode, values), None)


def _check(code: int, path: str | None = None) -> None:
    if code:
        raise OSError(code, os.strerror(code), path)
