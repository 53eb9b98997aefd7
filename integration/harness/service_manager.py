"""What systemd does for a service with a socket, in the few lines that a test needs: a program for a node's Python.

It makes the socket, starts the service with it as descriptor 3, and starts it again whenever it ends. What the service
tells it is printed, a line each. SIGHUP goes to the service; SIGUSR1 ends the service, and so restarts it; SIGTERM ends
both. Sources: sd_listen_fds(3), sd_notify(3).

    python service_manager.py SOCKET WATCHDOG_SECONDS COMMAND...
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time

LISTENING = 3


def script() -> str:
    """This module's text, for a Python elsewhere: `python -c SCRIPT SOCKET …`."""
    with open(__file__, encoding="utf-8") as file:
        return file.read()


def main() -> None:
    path, watchdog, *command = sys.argv[1:]
    notify = f"{path}.notify"
    for leftover in (path, notify):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(leftover)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(path)
    listening.listen(128)
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(notify)
    told.setblocking(False)  # noqa: FBT003  (the standard library's signature)
    environment = {"NOTIFY_SOCKET": notify, "WATCHDOG_USEC": str(int(float(watchdog) * 1e6)), "LISTEN_FDS": "1"}
    ending: list[bool] = []
    service = 0

    def forward(number: int, _frame: object) -> None:
        if number == signal.SIGTERM:
            ending.append(True)
        if service:
            os.kill(service, signal.SIGHUP if number == signal.SIGHUP else signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, forward)
    while not ending:
        service = start(listening, command, environment)
        print(f"service {service} started", flush=True)
        status = heard_until_end(service, told)
        print(f"service {service} ended with {os.waitstatus_to_exitcode(status)}", flush=True)
        service = 0
        time.sleep(0.2)
    os.unlink(path)
    os.unlink(notify)


def start(listening: socket.socket, command: list[str], environment: dict[str, str]) -> int:
    """Start the service; returns its pid."""
    child = os.fork()
    if child:
        return child
    os.dup2(listening.fileno(), LISTENING)
    os.set_inheritable(LISTENING, True)  # noqa: FBT003  (which a copy onto itself is not)
    mine = str(os.getpid())
    return os.execvpe(command[0], command, {**os.environ, **environment, "LISTEN_PID": mine, "WATCHDOG_PID": mine})


def heard_until_end(service: int, told: socket.socket) -> int:
    """Print what is told until the service has ended, and what it has told last; returns its wait status."""
    while True:
        ended, status = os.waitpid(service, os.WNOHANG)
        with contextlib.suppress(BlockingIOError):
            while True:
                print("told", told.recv(4096).decode().replace("\n", " "), flush=True)
        if ended:
            return status
        select.select([told], [], [], 0.1)


if __name__ == "__main__":
    main()
