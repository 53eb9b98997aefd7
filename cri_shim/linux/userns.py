"""User namespaces of pods, each with a network namespace that it owns.

The owner matters: only in a network namespace owned by the pod's user namespace may the pod's root bind low ports or
set addresses; and the owner is the creator's user namespace, for ever.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cri_shim import errors
from cri_shim.linux import netns, own_thread, pinned, syscalls, userns_child

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS: Final = 3
_START: Final = 10.0  # seconds that a Python may take to start


@dataclass(frozen=True, slots=True)
class IdMapping:
    """`length` ids from `container_id` on, inside, are those from `host_id` on, outside."""

    container_id: int
    host_id: int
    length: int


async def create(user_path: str, net_path: str, uids: Sequence[IdMapping], gids: Sequence[IdMapping]) -> None:
    """Make a user namespace kept at `user_path`, and a network namespace of its, `lo` up, kept at `net_path`.

    Both are removed by `netns.remove`. Raises `errors.AlreadyExists` when there is a file,
    `errors.FailedPrecondition` when the kernel has no user namespaces for us, and `OSError` when it refuses the
    mappings; nothing is left then.
    """
    await own_thread.call_async(_create, user_path, net_path, uids, gids)


def parse(text: str) -> list[IdMapping]:
    """Mappings as containerd writes them, `container:host:length` with commas between. Raises ValueError."""
    numbers = [[int(number) for number in part.split(":")] for part in text.split(",")]
    if any(len(mapping) != _NUMBERS or min(mapping) < 0 for mapping in numbers):
        raise ValueError(f"{text!r} is no mapping of ids: it must be container:host:length")
    return [IdMapping(*mapping) for mapping in numbers]


def opened(uids: Sequence[IdMapping], gids: Sequence[IdMapping]) -> int:
    """A descriptor of a new user namespace that nobody is in; the caller closes it. Blocks. Raises as `create`."""
    child = _Child(syscalls.CLONE_NEWUSER)
    try:
        child.wait_until_unshared()
        child.write("gid_map", gids)
        child.write("uid_map", uids)
        return os.open(f"/proc/{child.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        child.end()


def _create(user_path: str, net_path: str, uids: Sequence[IdMapping], gids: Sequence[IdMapping]) -> None:
    child = _Child(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
    made: list[str] = []
    try:
        child.wait_until_unshared()
        child.write("gid_map", gids)
        child.write("uid_map", uids)
        for kind, path in (("user", user_path), ("net", net_path)):
            pinned.pin(f"/proc/{child.pid}/ns/{kind}", path)
            made.append(path)
        own_thread.call(netns.bring_loopback_up, net_path)
    except BaseException:
        for path in made:
            pinned.unpin(path)
        raise
    finally:
        child.end()


class _Child:
    """The process in the namespaces, for as long as it takes to keep them without it."""

    def __init__(self, namespaces: int) -> None:
        theirs_in, self._stdin = os.pipe2(os.O_CLOEXEC)
        self._output, theirs_out = os.pipe2(os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, theirs_in, 0), *((os.POSIX_SPAWN_DUP2, theirs_out, fd) for fd in (1, 2))]
        argv = [sys.executable, "-I", "-S", userns_child.__file__, str(namespaces)]
        try:
            self.pid = os.posix_spawn(sys.executable, argv, {}, file_actions=actions, setsid=True)
        except BaseException:
            self._close()
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def wait_until_unshared(self) -> None:
        """Raises `errors.FailedPrecondition` with the kernel's reason if it can't be."""
        ready, _, _ = select.select([self._output], [], [], _START)
        said = os.read(self._output, 1000).decode(errors="replace").strip() if ready else "no answer"
        if said != "!":
            raise errors.FailedPrecondition(
                f"no user namespace can be made: {said}; see /proc/sys/user/max_user_namespaces"
            )

    def write(self, name: str, mappings: Sequence[IdMapping]) -> None:
        """Set `uid_map` or `gid_map`, once, in one write (user_namespaces(7))."""
        lines = "".join(f"{one.container_id} {one.host_id} {one.length}\n" for one in mappings)
        fd = os.open(f"/proc/{self.pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, lines.encode())
        finally:
            os.close(fd)

    def end(self) -> None:
        self._close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _close(self) -> None:
        os.close(self._stdin)
        os.close(self._output)
