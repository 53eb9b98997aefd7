"""Logs: the CRI format to the byte, whatever a container writes and whatever becomes of the disk."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from integration.harness.containerd import MAIN
from integration.kubelet import Kubelet, eventually

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode

pytestmark = pytest.mark.anyio

TOOLS = "docker.io/test/tools:1"
LIMIT = 16384


async def records(kubelet: Kubelet, container: str) -> list[tuple[bytes, bytes, bytes]]:
    """Stream, tag and content of each line of the log."""
    path = kubelet.path((await kubelet.status(container)).log_path)
    raw = await anyio.Path(path).read_bytes()
    assert raw.endswith(b"\n") or not raw
    found = []
    for line in raw.split(b"\n")[:-1]:
        _, stream, tag, content = line.split(b" ", 3)
        found.append((stream, tag, content))
    return found


async def test_every_kind_of_line_is_kept_as_it_was_said(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    long, exact = LIMIT * 2 + 100, LIMIT
    script = (
        f"printf '\\n\\nempty\\n'; printf 'a\\000\\377\\033b\\n'; head -c {long} /dev/zero | tr '\\000' x; echo; "
        f"head -c {exact} /dev/zero | tr '\\000' y; echo; printf 'cr\\r\\nno newline'"
    )
    plain = await kubelet.run(pod, kubelet.container_config(["sh", "-c", script]))
    terminal = await kubelet.run(pod, kubelet.container_config(["sh", "-c", "echo one; echo two >&2"], "tty", tty=True))
    assert (await kubelet.exited(plain)).exit_code == 0
    assert [record[1:] for record in await records(kubelet, plain)] == [
        (b"F", b""),
        (b"F", b""),
        (b"F", b"empty"),
        (b"F", b"a\0\xff\033b"),
        (b"P", b"x" * LIMIT),
        (b"P", b"x" * LIMIT),
        (b"F", b"x" * 100),
        (b"F", b"y" * LIMIT),
        (b"F", b"cr"),
        (b"P", b"no newline"),
    ]
    await kubelet.exited(terminal)
    assert await records(kubelet, terminal) == [(b"stdout", b"F", b"one"), (b"stdout", b"F", b"two")]


@pytest.mark.shim_only  # for containerd's, the whole containerd would have to be restarted
async def test_the_longest_record_is_what_the_configuration_says(kubelet: Kubelet, running: RunningNode) -> None:
    assert running.shim
    configuration = running.node.path(MAIN.config)
    before = configuration.read_text()
    table = "[plugins.'io.containerd.cri.v1.runtime']\n"
    script = "head -c 40000 /dev/zero | tr '\\000' x; echo; echo end"
    try:
        for limit, expected in ((-1, [40_000]), (15_000, [15_000, 15_000, 10_000])):
            setting = f"{table}  max_container_log_line_size = {limit}\n"
            running.node.write(MAIN.config, before.replace(table, setting))
            await to_thread.run_sync(running.shim.daemon.restart)
            pod = await kubelet.run_pod()
            container = await kubelet.run(pod, kubelet.container_config(["sh", "-c", script]))
            assert (await kubelet.exited(container)).exit_code == 0
            *said, last = [(tag, len(content)) for _, tag, content in await records(kubelet, container)]
            assert said == [(b"P", length) for length in expected[:-1]] + [(b"F", expected[-1])]
            assert last == (b"F", 3)
    finally:
        running.node.write(MAIN.config, before)
        await to_thread.run_sync(running.shim.daemon.restart)


async def test_an_exit_is_told_when_the_last_byte_is_in_the_log(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    for attempt in range(3):
        config = kubelet.container_config(["sh", "-c", "seq 200000"], f"burst-{attempt}")
        container = await kubelet.run(pod, config)
        assert (await kubelet.exited(container, 60)).exit_code == 0
        assert (await records(kubelet, container))[-1] == (b"stdout", b"F", b"200000")


@pytest.mark.shim_only  # containerd was seen to cut a record in two
async def test_rotating_again_and_again_under_load_loses_and_doubles_nothing(kubelet: Kubelet) -> None:
    container = await kubelet.run(
        await kubelet.run_pod(),
        kubelet.container_config(["sh", "-c", "for n in 1 2 3 4 5 6; do seq 50000; sleep 0.1; done"]),
    )
    path = kubelet.path((await kubelet.status(container)).log_path)
    rotated: list[str] = []
    for number in range(8):
        await anyio.sleep(0.1)
        rotated.append(f"{path}.{number}")
        os.rename(path, rotated[-1])
        try:
            await kubelet.runtime.reopen_container_log(cri.ReopenContainerLogRequest(container_id=container))
        except GRPCError:  # it has ended meanwhile
            break
    await kubelet.exited(container, 60)
    said: list[bytes] = []
    for name in (*rotated, path):
        if await anyio.Path(name).exists():
            said += [line.rsplit(b" ", 1)[1] for line in (await anyio.Path(name).read_bytes()).splitlines()]
    assert said == [b"%d" % number for number in range(1, 50001)] * 6


async def test_a_removed_directory_does_not_stop_the_container_and_a_reopen_brings_the_log_back(
    kubelet: Kubelet,
) -> None:
    pod = await kubelet.run_pod()
    script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"
    container = await kubelet.run(pod, kubelet.container_config(["sh", "-c", script]))
    path = kubelet.path((await kubelet.status(container)).log_path)
    shutil.rmtree(os.path.dirname(os.path.dirname(path)))
    os.makedirs(os.path.dirname(path))
    await kubelet.runtime.reopen_container_log(cri.ReopenContainerLogRequest(container_id=container))

    async def written() -> bool | None:
        return len(await records(kubelet, container)) > 5 or None

    assert await eventually(written)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING


@pytest.mark.shim_only  # containerd drops what it can't write, and says so in its own log alone
async def test_a_full_disk_is_survived_and_what_waited_is_written(kubelet: Kubelet, running: RunningNode) -> None:
    config = kubelet.pod_config()
    directory = config.log_directory
    os.makedirs(kubelet.path(directory))
    node = running.node
    node.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory])
    try:
        pod = await kubelet.run_pod(config)
        script = "seq 40000; touch /tmp/said; while [ ! -e /tmp/more ]; do sleep 0.05; done; echo after"
        filler = kubelet.path(f"{directory}/filler")
        await anyio.Path(filler).write_bytes(bytes(900 << 10))
        container = await kubelet.run(pod, kubelet.container_config(["sh", "-c", script]))

        async def said() -> bool | None:
            return (await kubelet.exec(container, "test", "-e", "/tmp/said")).exit_code == 0 or None

        assert await eventually(said, 30)
        os.unlink(filler)
        node.run(["mount", "-o", "remount,size=16m", directory])
        await kubelet.exec(container, "touch", "/tmp/more")
        assert (await kubelet.exited(container, 30)).exit_code == 0
        lines = [content for _, _, content in await records(kubelet, container)]
        assert lines[-1] == b"after"
        numbers = [int(line) for line in lines[:-1]]
        assert numbers == sorted(set(numbers))  # none twice, none cut; past the bound some may be lost
        assert numbers[0] == 1
        await kubelet.remove_all()
    finally:
        node.run(["umount", directory])
