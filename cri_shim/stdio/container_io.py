"""The standard streams of one container: its FIFOs, its log, its listeners, its standard input.

Made before the task is (`create`) or taken over with a task that runs (`adopt`), it reads from `start` on. A kill of
this process loses nothing that was not read yet: the shim holds the FIFOs, and the next process adopts them.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.stdio.fifos import Fifos, open_output
from cri_shim.stdio.log_writer import LogWriter
from cri_shim.stdio.outlet import Outlet
from cri_shim.stdio.pump import shared_pump
from cri_shim.stdio.stdin import StdinPipe
from cri_shim.stdio.subscription import Subscription

if TYPE_CHECKING:
    from cri_shim.stdio.log_writer import LogFile
    from cri_shim.stdio.pump import Pump
    from cri_shim.stdio.subscription import Stream

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 10.0


class ContainerIo:
    """The streams of a container. `stdin`, `stdout` and `stderr` are the paths that the task is created with."""

    def __init__(self, fifos: Fifos, *, adopted: bool, pump: Pump | None = None) -> None:
        self.stdin, self.stdout, self.stderr = fifos.stdin, fifos.stdout, fifos.stderr
        self.terminal = fifos.terminal
        self._fifos = fifos
        self._adopted = adopted
        self._pump_given = pump
        self._outlets: list[Outlet] = []
        self._listeners: list[Subscription] = []
        self._writer: LogWriter | None = None
        self._input: StdinPipe | None = None
        self._drained: Future[None] = Future()
        self._started = False
        self._over = False  # both outputs have ended

    @classmethod
    def create(cls, directory: str, name: str, *, stdin: bool, terminal: bool) -> ContainerIo:
        """New FIFOs below a container's state directory. Blocks; raises OSError, and leaves nothing then."""
        return cls(Fifos.create(directory, name, stdin=stdin, terminal=terminal), adopted=False)

    @classmethod
    def adopt(cls, stdin: str, stdout: str, stderr: str, *, terminal: bool) -> ContainerIo:
        """The FIFOs of a task that was there before us, as the task names them."""
        return cls(Fifos(stdin, stdout, stderr, terminal), adopted=True)

    def start(self, file: LogFile | None) -> None:
        """Open the FIFOs and begin to read, into the log at `file` if there is one. Never waits for a disk.

        Raises OSError when a FIFO can't be opened. A log that can't be opened is reported and tried again, as one that
        can't be written.
        """
        if self._started:
            raise RuntimeError(f"{self.stdout}: reading has begun already")
        self._started = True
        self._writer = LogWriter(file.path) if file else None
        try:
            for stream, path in self._outputs():
                outlet = self._open(stream, path, file)
                if outlet is not None:
                    self._outlets.append(outlet)
            if self.stdin:
                self._input = StdinPipe.open(self.stdin, adopted=self._adopted)
        except OSError:
            self._abandon()
            raise
        self._pump.submit(self._begin)

    async def opened(self) -> None:
        """Return once the log's file is there, or could not be opened: who starts a container may read it at once."""
        await self._pump.call(lambda: None)  # commands are obeyed in their order, and the first one opens it

    async def drained(self) -> None:
        """Return once both outputs have ended and every byte of them is in the log."""
        await asyncio.shield(asyncio.wrap_future(self._drained))

    async def reopen_log(self) -> None:
        """Go on in a new file at the log's path, with the first record not yet written; none is lost or doubled.

        Raises OSError, and goes on in the old file, if the new one can't be opened.
        """
        if self._writer is not None:
            await self._pump.call(self._writer.reopen)

    def subscribe(self, *streams: Stream) -> Subscription:
        """Listen from now on; ends when the output does, or by `unsubscribe`."""
        subscription = Subscription(frozenset(streams))
        self._pump.submit(partial(self._listen, subscription))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Listen no more."""
        subscription.close()
        self._pump.submit(partial(self._unlisten, subscription))

    @property
    def input(self) -> StdinPipe | None:
        """The container's standard input; None if it has none, or nobody reads it any more."""
        return self._input

    async def release(self) -> None:
        """Stop reading but leave the FIFOs, for the process after us; what has been read is written first."""
        await self._stop(drain=False)

    async def close(self) -> None:
        """Write what is in the pipes, stop reading and remove the FIFOs. Idempotent."""
        await self._stop(drain=True)
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._fifos.remove)

    async def _stop(self, *, drain: bool) -> None:
        if not self._started:
            return
        self._close_input()
        with anyio.move_on_after(CLOSE_SECONDS, shield=True) as scope:
            await self._pump.call(partial(self._end, drain=drain))
        if scope.cancelled_caught:
            log.error("log lines may be lost: the log's disk does not answer", fifo=self.stdout, seconds=CLOSE_SECONDS)

    def _close_input(self) -> None:
        if self._input is not None:
            self._input.close()
            self._input = None

    def _abandon(self) -> None:
        """Close what `start` had opened before it failed."""
        for outlet in self._outlets:
            os.close(outlet.fd)
        self._outlets.clear()
        self._close_input()
        self._started = False

    @property
    def _pump(self) -> Pump:
        return self._pump_given or shared_pump()

    def _outputs(self) -> list[tuple[Stream, str]]:
        """What is read: with a terminal stdout only. A task may name something else than a FIFO, or nothing."""
        outputs: list[tuple[Stream, str]] = [("stdout", self.stdout)]
        if not self.terminal:
            outputs.append(("stderr", self.stderr))
        return [(stream, path) for stream, path in outputs if path]

    def _open(self, stream: Stream, path: str, file: LogFile | None) -> Outlet | None:
        """One read end; None if a task that was there before us names something that is no FIFO, or is gone."""
        try:
            fd = open_output(path)
        except FileNotFoundError as error:
            if not self._adopted:
                raise
            log.warning("the task's output can't be read", stream=stream, path=path, error=str(error))
            return None
        return Outlet(
            stream=stream,
            fd=fd,
            writer=self._writer,
            line_limit=file.line_limit if file else 0,
            listeners=self._listeners,
            ended=self._outlet_ended,
            refused=partial(self._pump.retry_later, self),
        )

    def retry(self) -> bool:
        """Write what the disk refused before; the pump calls this until it is done."""
        done = self._writer is None or self._writer.retry()
        if done and self._over:
            self._set_drained()
        return done

    # What follows is called by the pump's thread, too.

    def _begin(self) -> None:
        if self._writer is not None:
            self._writer.open()
        for outlet in self._outlets:
            self._pump.watch(outlet)
        self._check_over()

    def _end(self, *, drain: bool) -> None:
        for outlet in self._outlets:
            self._pump.unwatch(outlet)
            if drain:
                outlet.drain()
            outlet.close()
        self._outlets.clear()
        self._check_over()
        self._pump.forget(self)
        if self._writer is not None:
            self._writer.close()
        self._set_drained()

    def _outlet_ended(self, outlet: Outlet) -> None:
        self._outlets.remove(outlet)
        self._check_over()

    def _check_over(self) -> None:
        """Nothing more will be read: tell the listeners, and `drained` once all of it is written."""
        if self._outlets or self._over:
            return
        self._over = True
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._writer is None or self._writer.flushed:
            self._set_drained()

    def _set_drained(self) -> None:
        if not self._drained.done():
            self._drained.set_result(None)

    def _listen(self, subscription: Subscription) -> None:
        if self._over:
            subscription.close()
        else:
            self._listeners.append(subscription)

    def _unlisten(self, subscription: Subscription) -> None:
        if subscription in self._listeners:
            self._listeners.remove(subscription)
