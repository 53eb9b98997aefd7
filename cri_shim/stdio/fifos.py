"""The FIFOs between a shim and us, at the paths containerd's CRI plugin gives them.

    <state>/io/<random digits>/<id>-stdin, -stdout, -stderr       directory 0700, FIFOs 0700

The shim opens stdout and stderr for writing, and for reading too, and holds both ends until the process has ended: so
a reader may go and come back, and what was written meanwhile waits in the pipe. A read end opened before any writer
reads as ended, but epoll reports nothing about it until a writer has come; the end is real once epoll has spoken.
Sources: fifo(7), pipe(7); containerd `pkg/cio/io_unix.go`, `cmd/containerd-shim-runc-v2/process/io.go`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import secrets
import select
import stat
from dataclasses import dataclass

PIPE_SIZES = (1 << 20, 1 << 18)  # bytes asked for, in order; a pipe starts with 64 KiB
_MODE = 0o700


@dataclass(frozen=True)
class Fifos:
    """Paths; "" where there is no such stream. With a terminal, stdout carries everything and stderr stays unused."""

    stdin: str
    stdout: str
    stderr: str
    terminal: bool

    @classmethod
    def create(cls, state: str, name: str, *, stdin: bool, terminal: bool) -> Fifos:
        """Make a directory of its own below `<state>/io`, and the FIFOs in it. Raises OSError; leaves nothing then."""
        above = os.path.join(state, "io")
        os.makedirs(above, _MODE, exist_ok=True)
        directory = _new_directory(above)
        stem = os.path.join(directory, name)
        fifos = cls(f"{stem}-stdin" if stdin else "", f"{stem}-stdout", f"{stem}-stderr", terminal)
        try:
            for path in fifos.paths:
                os.mkfifo(path, _MODE)
        except BaseException:
            fifos.remove()
            raise
        return fifos

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the streams there are."""
        return tuple(path for path in (self.stdin, self.stdout, self.stderr) if path)

    def remove(self) -> None:
        """Remove the FIFOs, and their directory if nothing else is in it; what is gone already is fine."""
        for path in self.paths:
            if _is_fifo(path):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        for directory in {os.path.dirname(path) for path in self.paths}:
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _new_directory(above: str) -> str:
    while True:
        directory = os.path.join(above, str(secrets.randbits(32)))
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, _MODE)
            return directory


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except OSError:
        return False


def open_output(path: str) -> int:
    """The read end of a FIFO, non-blocking, its pipe enlarged; returns at once.

    Raises OSError; FileNotFoundError also for what is there but is no FIFO.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "is no FIFO", path)
    _enlarge(fd)
    return fd


def open_all_outputs(containers: str) -> list[int]:
    """Descriptors of the read ends of all output FIFOs below the containers' state directories. Blocks."""
    fds = []
    for path in glob.iglob(os.path.join(glob.escape(containers), "*", "io", "*", "*-std[oe]*")):
        with contextlib.suppress(OSError):  # gone, or no FIFO: then nobody waits for it
            if _is_fifo(path):
                fds.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    return fds


def open_input(path: str) -> int:
    """A write end of a new FIFO, non-blocking, before its reader has come.

    It is a read end as well, for a mere write end can't be opened without a reader; `writer_of` makes it one later.
    """
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def writer_of(path: str) -> int | None:
    """A write end alone, which learns when the reader goes; None if there is no reader."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return None
        raise


def has_reader(fd: int) -> bool:
    """Whether somebody has the other end of this write end open."""
    poll = select.poll()
    poll.register(fd, 0)
    return not poll.poll(0)


def _enlarge(fd: int) -> None:
    """A bigger pipe lets the container run on while we are busy; a user over the kernel's limit keeps the small one."""
    for size in PIPE_SIZES:
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
            return
