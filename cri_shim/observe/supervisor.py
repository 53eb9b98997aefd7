"""What systemd is told of us: ready, reloading, stopping, a line of status, and that the event loop still turns.

Each message is a datagram to the socket that the environment names; without one nothing is said.
Source: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5).
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import anyio
import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

log = structlog.get_logger(__name__)

_OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_BEATS = 3  # in the time that systemd waits for one
_STARTING = 30.0  # seconds that a beat during the start buys, where there is no watchdog
_LATE = 1.0  # seconds


class Supervisor:
    """systemd, where it has started us; nobody otherwise."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes its variables out of `environment`: what we start is not to speak in our name."""
        values = {name: environment.pop(name, "") for name in _OURS}
        self._patience = _STARTING
        self._watched = False
        if values["WATCHDOG_USEC"] and values["WATCHDOG_PID"] in ("", str(os.getpid())):
            self._patience, self._watched = int(values["WATCHDOG_USEC"]) / 1e6, True
        self._ready = False
        self._socket: socket.socket | None = None
        if address := values["NOTIFY_SOCKET"]:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            self._socket.connect(f"\0{address[1:]}" if address.startswith("@") else address)

    def close(self) -> None:
        """Nothing more is said."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self, status: str) -> None:
        """The start is over; what waits for us may start."""
        self._ready = True
        self._tell("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        """The line that `systemctl status` shows."""
        self._tell(f"STATUS={text}")

    def reloading(self) -> None:
        """The configuration is read again, until `reloaded`. A start goes on being one."""
        if self._ready:
            self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """The configuration has been read."""
        if self._ready:
            self._tell("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1", "STATUS=ending: the calls under way are answered first")

    async def beat(self) -> None:
        """Until cancelled, say so as long as the loop comes round to it; a start is given more time by each beat."""
        pause = self._patience / _BEATS
        while True:
            if self._watched:
                self._tell("WATCHDOG=1")
            if not self._ready:
                self._tell(f"EXTEND_TIMEOUT_USEC={round(self._patience * 1e6)}")
            due = time.monotonic() + pause
            await anyio.sleep(pause)
            if (late := time.monotonic() - due) > _LATE:
                log.warning("the event loop stood still", seconds=round(late, 3))

    def _tell(self, *assignments: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send("\n".join(assignments).encode())
        except OSError as error:  # systemd starts anew, or its queue is full: the next beat is another chance
            log.warning("systemd can't be told", message=assignments[0], error=str(error))
