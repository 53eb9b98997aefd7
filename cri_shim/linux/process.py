"""Running a short program: CNI plugins, hooks, `modprobe`.

Neither asyncio's nor uvloop's subprocesses are used: the first spends milliseconds of the loop's time on each start,
the second forks, which grows with our size. `posix_spawn`, in a thread, shares memory with the child until its exec; a
pidfd tells the loop of its end; and both work the same on either loop.

A child leads a session of its own, so that it can be killed together with all that it started. Standard input is a
file in memory: a program that never reads it can't stall us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from cri_shim import errors
from cri_shim.linux import own_thread
from cri_shim.linux.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OUTPUT_LIMIT: Final = 4 << 20
_CHUNK: Final = 64 << 10
_KILL_GRACE: Final = 2.0  # seconds that a killed child may take to go; in a hung file system it can't at all
_QUOTED: Final = 1000
_LINGER: Final = 1.0  # seconds that output is waited for after the end, if a grandchild holds it open


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: `returncode` is negative for a signal, as in `subprocess`; `truncated` when output was
    beyond the limit and its rest was thrown away.
    """

    returncode: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False


class _Output:
    """One output of the child, collected up to a limit and read to its end, by the loop's reader call-back."""

    def __init__(self, limit: int) -> None:
        self._fd, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._fd, False)
        os.set_blocking(self.write_end, True)
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self.ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    @property
    def value(self) -> bytes:
        return b"".join(self._parts)[: self._limit]

    @property
    def truncated(self) -> bool:
        return self._size > self._limit

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._stop()
            return
        if self._size <= self._limit:
            self._parts.append(chunk)
        self._size += len(chunk)

    def _stop(self) -> None:
        if not self.ended.is_set():
            asyncio.get_running_loop().remove_reader(self._fd)
            self.ended.set()

    def child_has_it(self) -> None:
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def close(self) -> None:
        self.child_has_it()
        self._stop()
        os.close(self._fd)


class _Child:
    """A started child, reaped by the loop when its pidfd turns readable, whether or not anybody still waits."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exited = asyncio.Event()
        self.returncode = 0
        self._pidfd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        if result is None:
            return
        killed = result.si_code != os.CLD_EXITED
        self.returncode = -result.si_status if killed else result.si_status
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.exited.set()

    async def kill_group(self) -> None:
        """SIGKILL to the child's whole group; then its end is waited for, a short while."""
        if self.exited.is_set():
            return  # reaped: the group's number may be somebody else's by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with anyio.move_on_after(_KILL_GRACE, shield=True):
            await self.exited.wait()


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float,
    cwd: str | None = None,
    output_limit: int = OUTPUT_LIMIT,
) -> Completed:
    """Run `argv` (`argv[0]` is a path) to its end, with exactly `env` as its environment.

    `timeout` is in seconds. Cancellation kills the child and its whole group.

    Raises `OSError` when the program can't be started, and `errors.DeadlineExceeded` after the time-out, when the
    group has been killed.
    """
    with contextlib.ExitStack() as stack:
        stdout, stderr = _Output(output_limit), _Output(output_limit)
        stack.callback(stdout.close)
        stack.callback(stderr.close)
        child = await _start(argv, env, stdin, cwd, (stdout, stderr))
        await _finish(child, argv, timeout, stderr)
        with anyio.move_on_after(_LINGER):
            await stdout.ended.wait()
            await stderr.ended.wait()
        return Completed(child.returncode, stdout.value, stderr.value, stdout.truncated or stderr.truncated)


async def _finish(child: _Child, argv: Sequence[str], timeout: float, stderr: _Output) -> None:
    try:
        with anyio.move_on_after(timeout):
            await child.exited.wait()
        late = not child.exited.is_set()
    finally:
        await child.kill_group()
    if late:
        said = stderr.value.decode(errors="replace").strip()[-_QUOTED:]
        text = f"{argv[0]} did not end within {timeout:g} s and was killed with all that it had started"
        if not child.exited.is_set():
            text += f"; process {child.pid} does not go even so, the kernel holds it"
        raise errors.DeadlineExceeded(f"{text}; it last wrote: {said}" if said else text)


async def _start(
    argv: Sequence[str],
    env: Mapping[str, str],
    stdin: bytes,
    cwd: str | None,
    outputs: tuple[_Output, _Output],
) -> _Child:
    pids: list[int] = []
    with _standard_input(stdin) as fd:
        fds = (fd, *(output.write_end for output in outputs))
        try:
            await own_thread.call_async(lambda: pids.append(spawn(argv, env, fds, cwd)))
        except asyncio.CancelledError:
            for pid in pids:
                await _Child(pid).kill_group()
            raise
    for output in outputs:
        output.child_has_it()
    return _Child(pids[0])


@contextlib.contextmanager
def _standard_input(data: bytes) -> Iterator[int]:
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC) if data else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        view = memoryview(data)
        offset = 0
        while offset < len(view):
            offset += os.pwrite(fd, view[offset:], offset)  # the position, which the child inherits, stays at 0
        yield fd
    finally:
        os.close(fd)
