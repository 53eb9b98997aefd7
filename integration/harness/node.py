"""A private node: what kind calls a node, without Docker.

A root file system of one's own, entered with mount, pid, network, uts, ipc and cgroup namespaces of its own. Nothing
outside changes but one cgroup in each hierarchy and one scratch directory, and both go when the node ends.

    with Node.start(NodePlan(layers=(...))) as node:
        node.run(["ip", "addr"])
        node.path("/etc/hostname").read_text()

The node's files, Unix sockets included, are seen from the host below `/proc/<its first process>/root`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from cri_shim.linux import syscalls
from integration.harness import host
from integration.harness.enclosure.plan import Bind, Plan
from integration.harness.errors import HarnessError
from integration.harness.guardian import Guardian, scratch_directory
from integration.harness.inside import resolve
from integration.harness.patience import patience
from integration.harness.this_machine import ThisMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Bind", "Node", "NodePlan", "NodeProcess"]

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
DISKS: Final = ("/var/lib/containerd", "/var/lib/containerd-peer", "/var/log/pods")
# Joins the node's cgroups, which nsenter can't, then becomes nsenter.
_ENTER: Final = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"'


@dataclass(frozen=True)
class NodePlan:
    """What a node is made of: layers of its root file system with the topmost first, and what it shows of the host."""

    layers: tuple[Path, ...]
    binds: tuple[Bind, ...] = ()
    disks: tuple[str, ...] = DISKS
    own_network: bool = True
    upper: Path | None = None


class NodeProcess(subprocess.Popen[bytes]):
    """A process in a node; its signals go to the program itself, not to the nsenter that waits for it."""

    _program: int | None = None

    @property
    def program(self) -> int:
        """The program's pid on the host; raises `ProcessLookupError` when it has ended."""
        if self._program is None:
            self._program = self._find_program()
        return self._program

    def send_signal(self, sig: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.program, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _find_program(self) -> int:
        children = f"/proc/{self.pid}/task/{self.pid}/children"
        while self.poll() is None:
            with contextlib.suppress(FileNotFoundError), open(children, encoding="ascii") as file:
                if found := file.read().split():
                    return int(found[0])
            time.sleep(0.001)
        raise ProcessLookupError(f"{self.args!r} has ended")


class Node:
    """A running node. Close it, or use it as a context manager; it also ends when this process does."""

    def __init__(self, guardian: Guardian | ThisMachine) -> None:
        self._guardian = guardian
        self._started: list[NodeProcess] = []

    @classmethod
    def start(cls, plan: NodePlan, *, whole: bool = False) -> Self:
        """Start a node; raises `HarnessError` when the machine doesn't let us. With `whole`, this machine is it."""
        host.require_node()
        name = f"node-{secrets.token_hex(4)}"
        scratch = scratch_directory(name)
        complete = Plan(
            name=name,
            scratch=str(scratch),
            layers=tuple(str(layer) for layer in plan.layers),
            hierarchies=host.hierarchies(),
            upper=str(plan.upper or ""),
            binds=plan.binds,
            disks=plan.disks,
            own_network=plan.own_network,
        )
        return cls(ThisMachine.start(complete) if whole else Guardian.start(complete))

    @property
    def name(self) -> str:
        """The node's name: its host name, and part of its cgroups' and its scratch directory's."""
        return self._guardian.plan.name

    @property
    def pid(self) -> int:
        """The pid of the node's first process on the host."""
        return self._guardian.first

    @property
    def groups(self) -> tuple[str, ...]:
        """The node's cgroups on the host, one in each hierarchy."""
        return self._guardian.groups

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def root(self) -> Path:
        """The node's root directory as the host sees it."""
        return Path(f"/proc/{self.pid}/root")

    def path(self, inside: str) -> Path:
        """Where the node's path `inside` is on the host, symbolic links followed within the node."""
        return resolve(self.root, inside)

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the node's, its directories too."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
    ) -> NodeProcess:
        """Start a program in the node, in its namespaces and cgroups; `env` is added to a plain environment."""
        namespaces = [
            "--mount",
            "--uts",
            "--ipc",
            "--pid",
            "--cgroup",
            *(["--net"] if self._guardian.plan.own_network else []),
        ]
        chdir = [] if cwd == "/" else ["env", f"--chdir={cwd}"]  # nsenter's --wd is a directory of the host's
        nsenter = ["nsenter", "--target", str(self.pid), *namespaces, "--", *chdir, *argv]
        process = NodeProcess(
            ["/bin/sh", "-c", _ENTER, "sh", *self.groups, "--", *nsenter],
            env={**ENVIRONMENT, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        self._started = [*(one for one in self._started if one.poll() is None), process]
        return process

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        input: bytes | None = None,  # noqa: A002  (subprocess.run's name)
        timeout: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the node to its end; with `check`, raise `HarnessError` with its output when it fails."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        process = self.popen(argv, env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(input, patience(timeout))
        except BaseException:
            process.kill()
            process.communicate()
            raise
        done = subprocess.CompletedProcess(
            list(argv), process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
        )
        if check and done.returncode:
            raise HarnessError(
                f"{' '.join(argv)} ended with {done.returncode} in the node:\n{done.stdout}{done.stderr}"
            )
        return done

    def connect(self, port: int, address: str = "127.0.0.1", timeout: float = 10) -> socket.socket:
        """A TCP connection that starts in the node's network, usable from here."""
        return self._in_network(lambda: socket.create_connection((address, port), patience(timeout)))

    def listen(self, port: int, address: str = "127.0.0.1") -> socket.socket:
        """A TCP socket that listens in the node's network, usable from here."""
        return self._in_network(lambda: socket.create_server((address, port)))

    def _in_network(self, make: Callable[[], socket.socket]) -> socket.socket:
        made: list[socket.socket] = []
        failed: list[OSError] = []

        def inside() -> None:
            try:
                with open(f"/proc/{self.pid}/ns/net", "rb") as namespace:
                    syscalls.setns(namespace.fileno(), syscalls.CLONE_NEWNET)
                made.append(make())
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=inside)  # it ends with the namespace that it moved to; a socket stays in it
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    def close(self) -> None:
        """End everything in the node and wait until nothing of it is left; raises `HarnessError` when something is."""
        self._guardian.end()
        for process in self._started:
            process.wait()
