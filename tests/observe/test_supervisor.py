"""systemd hears how things stand, by datagrams to the socket that it named."""

from __future__ import annotations

import os
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from cri_shim.observe.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Manager:
    """The end of systemd's."""

    def __init__(self, address: str) -> None:
        self.address, self.told = address, list[Supervisor]()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(address)

    def heard(self) -> list[str]:
        """All messages so far."""
        self.socket.setblocking(False)  # noqa: FBT003  (the standard library's signature)
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    for told in manager.told:
        told.close()
    manager.socket.close()


def supervisor(manager: Manager, **more: str) -> Supervisor:
    manager.told.append(Supervisor({"NOTIFY_SOCKET": manager.address, **more}))
    return manager.told[-1]


def test_the_life_of_a_service_is_told_in_order(manager: Manager) -> None:
    told = supervisor(manager)
    told.status("waiting")
    told.ready("serving")
    before = time.monotonic_ns() // 1000
    told.reloading()
    told.reloaded()
    told.stopping()
    waiting, ready, reloading, reloaded, stopping = manager.heard()
    assert (waiting, ready, reloaded) == ("STATUS=waiting", "READY=1\nSTATUS=serving", "READY=1")
    first, _, at = reloading.partition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1"
    assert before <= int(at) <= time.monotonic_ns() // 1000
    assert stopping.startswith("STOPPING=1\nSTATUS=")


def test_a_start_stays_one_when_the_configuration_is_read_again_meanwhile(manager: Manager) -> None:
    told = supervisor(manager)
    told.reloading()
    told.reloaded()
    assert manager.heard() == []


def test_an_abstract_socket_is_one() -> None:
    name = f"cri-shim-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    with closing(manager.socket), closing(Supervisor({"NOTIFY_SOCKET": f"@{name}"})) as told:
        told.status("here")
        assert manager.heard() == ["STATUS=here"]


def test_without_systemd_nothing_is_said_and_nothing_fails() -> None:
    told = Supervisor({})
    told.ready("serving")
    told.stopping()


def test_a_manager_that_has_gone_does_no_harm(manager: Manager) -> None:
    told = supervisor(manager)
    manager.socket.close()
    told.ready("serving")


def test_what_we_start_does_not_speak_in_our_name(manager: Manager) -> None:
    environment = {
        "NOTIFY_SOCKET": manager.socket.getsockname(),
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "HOME": "/",
    }
    Supervisor(environment).close()
    assert environment == {"HOME": "/"}


async def beats(told: Supervisor, seconds: float, *, block: float = 0) -> None:
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(told.beat)
            await anyio.lowlevel.checkpoint()
            if block:
                await anyio.sleep(0.01)
                time.sleep(block)  # noqa: ASYNC251  (what a watchdog is for)
            await anyio.sleep_forever()


@pytest.mark.anyio
async def test_the_watchdog_is_fed_while_the_loop_turns_and_not_while_it_stands(manager: Manager) -> None:
    told = supervisor(manager, WATCHDOG_USEC="300000", WATCHDOG_PID=str(os.getpid()))
    told.ready("serving")
    await beats(told, 1)
    fed = manager.heard().count("WATCHDOG=1")
    assert 5 <= fed <= 11
    await beats(told, 1, block=1.5)
    assert manager.heard().count("WATCHDOG=1") <= 2


@pytest.mark.anyio
async def test_another_process_watchdog_is_not_fed(manager: Manager) -> None:
    told = supervisor(manager, WATCHDOG_USEC="300000", WATCHDOG_PID="1")
    told.ready("serving")
    await beats(told, 0.5)
    assert manager.heard() == ["READY=1\nSTATUS=serving"]


@pytest.mark.anyio
async def test_a_long_start_is_given_time_until_it_is_over(manager: Manager) -> None:
    told = supervisor(manager, WATCHDOG_USEC="300000")
    await beats(told, 0.5)
    assert "EXTEND_TIMEOUT_USEC=300000" in manager.heard()
    told.ready("serving")
    await beats(told, 0.5)
    assert not [message for message in manager.heard() if message.startswith("EXTEND")]
