"""ExecSync, as probes use it: often, with time-outs, with commands that say too much or leave children behind."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from integration.harness.leaks import Baseline
from integration.harness.traces import Tracer
from integration.kubelet import Kubelet, eventually

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri
    from integration.harness.assembly import RunningNode
    from integration.harness.containerd import Containerd

pytestmark = pytest.mark.anyio

LIMIT = 16 << 20


async def failure(kubelet: Kubelet, container: str, *command: str, timeout: int = 10) -> GRPCError:
    with pytest.raises(GRPCError) as caught:
        await kubelet.exec(container, *command, timeout=timeout)
    return caught.value


async def alive(kubelet: Kubelet, container: str, *command: str) -> bool:
    """Whether a process with exactly these arguments runs in the container."""
    processes = (await kubelet.exec(container, "ps", "-o", "args")).stdout.splitlines()
    return " ".join(command).encode() in [line.strip() for line in processes]


async def test_output_is_answered_to_the_byte_with_the_exit_code(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    every_byte = 'for n in $(seq 0 255); do printf "\\\\$(printf %03o $n)"; done'
    answer = await kubelet.exec(container, "sh", "-c", f"{every_byte}; {every_byte} >&2; exit 42")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (bytes(range(256)), bytes(range(256)), 42)
    assert (await kubelet.exec(container, "sh", "-c", "kill -9 $$")).exit_code == 137
    assert (await kubelet.exec(container, "cat")).stdout == b""  # it has no standard input
    missing = await failure(kubelet, container, "no-such-command")
    assert "no-such-command" in (missing.message or "")
    nothing = await kubelet.exec(container, "true", timeout=0)
    assert (nothing.stdout, nothing.stderr, nothing.exit_code) == (b"", b"", 0)


async def test_where_commands_can_not_run_is_said(kubelet: Kubelet) -> None:
    container = await kubelet.create(await kubelet.run_pod())
    created = await failure(kubelet, container, "true")
    assert created.status is Status.UNKNOWN
    assert "CONTAINER_CREATED" in (created.message or "")
    assert (await failure(kubelet, "no-such-container", "true")).status is Status.NOT_FOUND


@pytest.mark.shim_only  # containerd kills the first process alone, and its children live on
async def test_past_its_timeout_a_command_is_killed_with_all_that_it_started(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    script = "sleep 3001 & (sleep 3002 & exec true); setsid sleep 3003 & echo started; wait"
    error = await failure(kubelet, container, "sh", "-c", script, timeout=2)
    assert error.status is Status.DEADLINE_EXCEEDED
    assert "timeout 2s exceeded" in (error.message or "")
    for seconds in ("3001", "3002", "3003"):
        assert not await alive(kubelet, container, "sleep", seconds)
    held = await failure(kubelet, container, "sh", "-c", "sleep 3004 &", timeout=1)
    assert held.status is Status.DEADLINE_EXCEEDED
    assert not await alive(kubelet, container, "sleep", "3004")
    assert await alive(kubelet, container, "sleep", "100000")


async def test_a_child_that_does_not_hold_the_output_lives_on(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    answer = await kubelet.exec(container, "sh", "-c", "sleep 3005 >/dev/null 2>&1 & echo done")
    assert answer.stdout == b"done\n"
    assert await alive(kubelet, container, "sleep", "3005")


@pytest.mark.shim_only  # containerd's answer is too big for its own server as soon as both streams are full
async def test_output_above_16_mib_is_read_away_and_the_command_ends(kubelet: Kubelet, running: RunningNode) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    command = f"head -c {LIMIT + (100 << 20)} /dev/zero >/dev/stderr; head -c {LIMIT // 2 - 1000} /dev/zero; exit 3"
    error = await failure(kubelet, container, "sh", "-c", command, timeout=60)
    assert error.status is Status.RESOURCE_EXHAUSTED
    assert (await kubelet.exec(container, "true")).exit_code == 0
    assert running.shim is not None
    less = await kubelet.exec(container, "sh", "-c", f"head -c {LIMIT - 1000} /dev/zero")
    assert len(less.stdout) == LIMIT - 1000


async def test_a_hundred_probes_at_once_are_answered_each_with_its_own_output(kubelet: Kubelet) -> None:
    """What they leave behind is counted by the leak check."""
    container = await kubelet.run(await kubelet.run_pod())
    answers: dict[int, cri.ExecSyncResponse] = {}

    async def probe(number: int) -> None:
        answers[number] = await kubelet.exec(container, "sh", "-c", f"echo {number}; exit {number}", timeout=120)

    for start in range(0, 100, 20):
        async with anyio.create_task_group() as tasks:
            for number in range(start, start + 20):
                tasks.start_soon(probe, number)
    assert {number: (answer.stdout, answer.exit_code) for number, answer in answers.items()} == {
        number: (f"{number}\n".encode(), number) for number in range(100)
    }

    async def alone() -> bool | None:
        processes = (await kubelet.exec(container, "ps", "-o", "args")).stdout
        return b"echo" not in processes or None

    assert await eventually(alone)


async def test_hundreds_of_probes_leave_nothing_behind(
    kubelet: Kubelet, running: RunningNode, containerd: Containerd
) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)

    async def probe(times: int) -> None:
        for number in range(times):
            command = ("sh", "-c", f"echo {number}; exit {number % 2}")
            assert (await kubelet.exec(container, *command)).exit_code == number % 2

    async def probes(times: int) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(probe, times // 4)

    await probes(60)
    before, traces = Held.by(running, pod.id), await Baseline.take(Tracer(containerd))
    await probes(300)
    assert await traces.difference() == ""  # tasks, directories, FIFOs, processes

    async def no_more_is_held() -> bool | None:
        return Held.by(running, pod.id).within(before) or None

    try:
        await eventually(no_more_is_held)
    except TimeoutError:
        pytest.fail(f"held after 60 probes: {before}; after 360: {Held.by(running, pod.id)}")


@dataclass(frozen=True)
class Held:
    """What a probe could leave the server, or the shim of its pod, with."""

    descriptors: int
    threads: int
    shim_descriptors: int
    mebibytes: float

    @classmethod
    def by(cls, running: RunningNode, pod_id: str) -> Held:
        server = running.shim or running.peer
        assert server
        process = f"/proc/{server.daemon.pid}"
        pages = int(Path(f"{process}/statm").read_text().split()[1])
        return cls(
            descriptors=len(os.listdir(f"{process}/fd")),
            threads=len(os.listdir(f"{process}/task")),
            shim_descriptors=sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in _shims(pod_id)),
            mebibytes=pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20),
        )

    def within(self, other: Held) -> bool:
        """Not more than `other`, but for what an allocator and a pool of threads may keep."""
        return (
            self.descriptors <= other.descriptors + 4
            and self.threads <= other.threads + 8
            and self.shim_descriptors <= other.shim_descriptors + 8
            and self.mebibytes <= other.mebibytes + 8
        )


def _shims(pod_id: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            arguments = path.read_bytes().split(b"\0")
            if arguments[0].endswith(b"containerd-shim-runc-v2") and pod_id.encode() in arguments:
                found.append(path.parent.name)
    return found


async def test_a_command_whose_container_ends_comes_to_an_end_as_well(kubelet: Kubelet) -> None:
    container = await kubelet.run(await kubelet.run_pod())
    ended: list[cri.ExecSyncResponse | GRPCError] = []

    async def sleep() -> None:
        try:
            ended.append(await kubelet.exec(container, "sleep", "3000", timeout=0))
        except GRPCError as error:
            ended.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep)

        async def asleep() -> bool | None:
            return await alive(kubelet, container, "sleep", "3000") or None

        await eventually(asleep)
        with anyio.fail_after(30):
            await kubelet.stop(container)
    (outcome,) = ended
    assert isinstance(outcome, GRPCError) or outcome.exit_code == 137
