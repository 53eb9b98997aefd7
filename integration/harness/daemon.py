"""A long-running program in a node: started, waited for until it answers, stopped or killed, its log at hand."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from integration.harness.errors import HarnessError
from integration.harness.patience import patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from integration.harness.node import Node, NodeProcess

_LOG_SHOWN: Final = 6000  # characters
_POLL: Final = 0.01


@dataclass(eq=False)
class Daemon:
    """One daemon; `log` is the node's file that both of its outputs are appended to.

    `answers` says whether it is ready for work: it is asked again and again after a start.
    """

    node: Node
    argv: Sequence[str]
    log: str
    answers: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_within: float = patience(30.0)
    stop_within: float = patience(15.0)
    _process: NodeProcess | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.argv[0]

    @property
    def pid(self) -> int:
        """The program's pid on the host; raises `HarnessError` when it isn't running."""
        if self._process is None or self._process.poll() is not None:
            raise HarnessError(f"{self.name} is not running in {self.node.name}")
        return self._process.program

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def begin(self) -> None:
        """Start it, without waiting."""
        path = self.node.path(self.log)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as log:
            self._process = self.node.popen(self.argv, env=self.environment, stdout=log, stderr=log)

    def ready(self) -> None:
        """Wait until it answers; raises `HarnessError` with the end of its log when it ends or takes too long."""
        assert self._process
        deadline = time.monotonic() + self.start_within
        while not self._answers():
            if self._process.poll() is not None:
                raise HarnessError(f"{self.name} ended with {self._process.returncode}:\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise HarnessError(f"{self.name} doesn't answer after {self.start_within} s:\n{self.log_end()}")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.begin()
        self.ready()

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and wait; returns its exit status. One that doesn't end in time is killed."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(self.stop_within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise HarnessError(f"{self.name} did not stop within {self.stop_within} s:\n{self.log_end()}") from None

    def kill(self) -> None:
        """End it at once, as a crash does (SIGKILL), and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stop, then start."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        """Ask it; whoever asks may take no more of the processor than the one that is to come up."""
        begin = time.monotonic()
        answer = self.answers()
        if not answer:
            time.sleep(max(_POLL, 3 * (time.monotonic() - begin)))
        return answer

    def log_text(self) -> str:
        """All that it has logged."""
        path = self.node.path(self.log)
        return path.read_text(errors="replace") if path.exists() else ""

    def log_end(self) -> str:
        """The end of its log, for a message."""
        return self.log_text()[-_LOG_SHOWN:]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
