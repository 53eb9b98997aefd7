"""A container's streams, from FIFOs held as a shim holds them to the bytes of its log."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import anyio
import pytest

from cri_shim.stdio import pump as pump_module
from cri_shim.stdio.container_io import ContainerIo
from cri_shim.stdio.fifos import Fifos
from cri_shim.stdio.log_writer import LogFile
from tests.stdio.conftest import contents, held, names, read, run, shell, write_all

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cri_shim.stdio.pump import Pump

pytestmark = pytest.mark.anyio


class Made(ContainerIo):
    """A container's streams on the test's own pump."""

    def __init__(self, directory: Path, pump: Pump, *, stdin: bool = False, terminal: bool = False) -> None:
        fifos = Fifos.create(str(directory), "c1", stdin=stdin, terminal=terminal)
        super().__init__(fifos, adopted=False, pump=pump)


def adopted(io: ContainerIo, pump: Pump) -> ContainerIo:
    return ContainerIo(Fifos(io.stdin, io.stdout, io.stderr, io.terminal), adopted=True, pump=pump)


def descriptors() -> set[str]:
    return {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)}


def _is_open(fd: str) -> bool:
    try:
        os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return False
    return True


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    return LogFile(str(tmp_path / "logs" / "0.log"), 16384)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pump_module, "RETRY_SECONDS", 0.05)
    return


async def test_both_outputs_are_in_the_log_when_drained_and_the_fifos_are_gone_after_close(
    tmp_path: Path, pump: Pump, log: LogFile
) -> None:
    io = Made(tmp_path, pump)
    io.start(log)
    script = "echo out; echo err >&2; printf rest"
    process = shell(f"exec >{io.stdout} 2>{io.stderr}; {script}")
    await io.drained()
    said = read(log.path)
    assert contents(said, b"stdout") == b"out\nrest"
    assert contents(said, b"stderr") == b"err\n"
    await io.close()
    await io.close()
    assert process.wait() == 0
    assert names(tmp_path / "io") == []


async def test_a_stream_that_nobody_has_opened_yet_has_not_ended(tmp_path: Path, pump: Pump, log: LogFile) -> None:
    io = Made(tmp_path, pump)
    io.start(log)
    with anyio.move_on_after(0.1) as scope:
        await io.drained()
    assert scope.cancelled_caught
    with held(io.stdout) as writer:
        write_all(writer, b"late\n")
    with held(io.stderr):
        pass
    await io.drained()
    assert contents(read(log.path)) == b"late\n"
    await io.close()


async def test_with_a_terminal_only_stdout_is_read(tmp_path: Path, pump: Pump, log: LogFile) -> None:
    io = Made(tmp_path, pump, terminal=True)
    io.start(log)
    with held(io.stderr), held(io.stdout) as writer:
        write_all(writer, b"hello\r\n")
    await io.drained()
    assert contents(read(log.path)) == b"hello\n"
    await io.close()


async def test_without_a_log_path_output_is_read_away(tmp_path: Path, pump: Pump) -> None:
    io = Made(tmp_path, pump, terminal=True)
    io.start(None)
    with held(io.stdout) as writer:
        await asyncio.to_thread(write_all, writer, bytes(4 << 20))
    await io.drained()
    await io.reopen_log()
    await io.close()
    assert names(tmp_path) == ["io"]


async def test_closing_while_the_process_still_has_its_output_lets_go_of_everything(
    tmp_path: Path, pump: Pump, log: LogFile
) -> None:
    before = descriptors()
    io = Made(tmp_path, pump, stdin=True)
    io.start(log)
    with held(io.stdout) as writer:
        write_all(writer, b"one\ntw")
        await io.close()
    await io.drained()
    assert contents(read(log.path)) == b"one\ntw"
    assert descriptors() <= before


async def test_streams_that_were_never_read_can_be_closed(tmp_path: Path, pump: Pump) -> None:
    io = Made(tmp_path, pump)
    await io.close()
    assert names(tmp_path / "io") == []


async def test_a_fifo_that_is_missing_fails_the_start_and_leaves_nothing_open(tmp_path: Path, pump: Pump) -> None:
    before = descriptors()
    io = Made(tmp_path, pump)
    os.unlink(io.stderr)
    with pytest.raises(FileNotFoundError):
        io.start(None)
    assert descriptors() <= before
    await io.close()


async def test_what_is_said_between_two_processes_of_ours_is_in_the_log(
    tmp_path: Path, pump: Pump, log: LogFile
) -> None:
    first = Made(tmp_path, pump)
    first.start(log)
    with ExitStack() as shim:
        writer = shim.enter_context(held(first.stdout))
        shim.enter_context(held(first.stderr))
        write_all(writer, b"one\ntw")
        await wait_until(lambda: b"one" in read(log.path))
        await first.release()
        write_all(writer, b"o\nthree\n")
        second = adopted(first, pump)
        second.start(log)
        write_all(writer, b"four\n")
    await second.drained()
    assert contents(read(log.path)) == b"one\ntwo\nthree\nfour\n"
    await second.close()
    assert names(tmp_path / "io") == []


async def test_a_process_of_ours_that_is_killed_takes_nothing_that_it_had_not_read(
    tmp_path: Path, pump: Pump, log: LogFile
) -> None:
    io = Made(tmp_path, pump, terminal=True)
    program = (
        "import sys, time\n"
        "from cri_shim.stdio.container_io import ContainerIo\n"
        "from cri_shim.stdio.log_writer import LogFile\n"
        "ContainerIo.adopt('', sys.argv[1], '', terminal=True).start(LogFile(sys.argv[2]))\n"
        "time.sleep(60)\n"
    )
    with held(io.stdout) as writer:
        write_all(writer, b"one\n")
        ours = run(sys.executable, "-c", program, io.stdout, log.path)
        await wait_until(lambda: b"one" in read(log.path))
        ours.kill()
        ours.communicate()
        write_all(writer, b"two\n")
        io = adopted(io, pump)
        io.start(log)
    await io.drained()
    assert contents(read(log.path)) == b"one\ntwo\n"
    await io.close()


async def test_reopening_after_the_close_opens_nothing(tmp_path: Path, pump: Pump, log: LogFile) -> None:
    io = Made(tmp_path, pump)
    io.start(log)
    await io.opened()
    await io.close()
    os.unlink(log.path)
    await io.reopen_log()
    assert names(tmp_path / "logs") == []


async def test_a_file_where_the_task_had_its_fifo_is_left_alone(tmp_path: Path, pump: Pump, log: LogFile) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    io = ContainerIo(Fifos("", str(tmp_path / "file"), "", terminal=True), adopted=True, pump=pump)
    io.start(log)
    await io.drained()
    await io.close()
    assert read(tmp_path / "file") == b"kept"


@pytest.mark.parametrize("path", ["", "/gone/c1-stdout", "binary:///bin/logger", "ttrpc+unix:///s?streaming_id=x"])
async def test_a_task_whose_output_is_no_fifo_is_drained_at_once(pump: Pump, path: str, log: LogFile) -> None:
    io = ContainerIo(Fifos("", path, path, terminal=False), adopted=True, pump=pump)
    io.start(log)
    with anyio.fail_after(5):
        await io.drained()
    await io.close()


async def test_reopening_while_a_container_writes_loses_and_doubles_no_line(
    tmp_path: Path, pump: Pump, log: LogFile
) -> None:
    count = 100_000
    io = Made(tmp_path, pump)
    io.start(log)
    program = (
        "import os, sys\n"
        "out = [os.open(path, os.O_WRONLY) for path in sys.argv[1:]]\n"
        f"for n in range({count}):\n"
        "    os.write(out[n % 2], b'line %d\\n' % n)\n"
    )
    process = run(sys.executable, "-c", program, io.stdout, io.stderr)
    rotated: list[str] = []
    while process.poll() is None:
        await asyncio.sleep(0.01)
        if read(log.path):
            rotated.append(f"{log.path}.{len(rotated)}")
            os.rename(log.path, rotated[-1])
            await io.reopen_log()
    process.communicate()
    await io.drained()
    await io.close()
    said = b"".join(map(read, [*rotated, log.path]))
    for stream, first in ((b"stdout", 0), (b"stderr", 1)):
        assert contents(said, stream) == b"".join(b"line %d\n" % n for n in range(first, count, 2))
    assert len(rotated) > 3


async def test_many_containers_at_once_keep_their_lines_apart(tmp_path: Path, pump: Pump) -> None:
    ios: list[tuple[ContainerIo, LogFile, subprocess.Popen[bytes]]] = []
    for index in range(40):
        io = Made(tmp_path / str(index), pump)
        log = LogFile(str(tmp_path / str(index) / "log"), 64)
        io.start(log)
        script = f"exec >{io.stdout} 2>{io.stderr}; for n in $(seq 500); do echo {index} $n; echo {index} $n >&2; done"
        ios.append((io, log, shell(script)))
    for index, (io, log, process) in enumerate(ios):
        await io.drained()
        await io.close()
        expected = b"".join(b"%d %d\n" % (index, n) for n in range(1, 501))
        said = read(log.path)
        assert (contents(said, b"stdout"), contents(said, b"stderr")) == (expected, expected)
        assert process.wait() == 0


async def test_a_disk_that_refuses_neither_stops_the_container_nor_loses_a_line_once_it_is_mended(
    tmp_path: Path, pump: Pump, log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = True
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if refuse and os.readlink(f"/proc/self/fd/{fd}") == log.path:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", full)
    io = Made(tmp_path, pump, terminal=True)
    io.start(log)
    lines = b"".join(b"line %d\n" % n for n in range(10_000))
    with held(io.stdout) as writer:
        await asyncio.to_thread(write_all, writer, lines)
    with anyio.move_on_after(0.2) as scope:
        await io.drained()
    assert scope.cancelled_caught
    refuse = False
    with anyio.fail_after(5):
        await io.drained()
    assert contents(read(log.path)) == lines
    await io.close()


async def test_the_loop_is_free_while_the_disk_hangs(
    tmp_path: Path, pump: Pump, log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    write = os.write

    def slow(fd: int, data: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{fd}") == log.path:
            gate.wait()
        return write(fd, data)

    monkeypatch.setattr(os, "write", slow)
    io = Made(tmp_path, pump, terminal=True)
    io.start(log)
    with held(io.stdout) as writer:
        write_all(writer, b"one\n")
        longest = 0.0
        for _ in range(50):
            before = asyncio.get_running_loop().time()
            await asyncio.sleep(0.001)
            longest = max(longest, asyncio.get_running_loop().time() - before)
        gate.set()
    await io.drained()
    assert longest < 0.5
    assert contents(read(log.path)) == b"one\n"
    await io.close()


async def wait_until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  (a file tells nobody that it has grown)
            await asyncio.sleep(0.005)
