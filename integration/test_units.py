"""systemd starts containerd and cri-shim from the units that `cri-shim install` writes, and `uninstall` goes back.

Only where this machine is the node (integration/guest). The tests are one story, in their order: pods that containerd's
own CRI has started are there from the first to the last.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from grpclib import GRPCError
from grpclib.client import Channel
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from integration.harness import this_machine
from integration.harness.assembly import prepare
from integration.harness.containerd import MAIN, PAUSE, Changes, Place, config, write_network
from integration.harness.node import Node, NodePlan
from integration.harness.patience import patience
from integration.harness.registry import Registry
from integration.harness.rootfs import PYTHON
from integration.harness.shim import SOCKET, source_binds
from integration.kubelet import BUSYBOX, Kubelet, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not this_machine.wanted(), reason="systemd is not this node's"),
]

PLACE = Place(root=MAIN.root, state=MAIN.state, config=MAIN.config, log=MAIN.log, serves_cri=True)
COMMAND: Final = "/usr/local/bin/cri-shim"
SCRIPT: Final = f'#!/bin/sh\nPYTHONPATH=/usr/src/cri-shim exec {PYTHON}/bin/python -m cri_shim "$@"\n'
UNITS: Final = ("cri-shim.socket", "cri-shim.service")
PARENT: Final = "/kubepods.slice/kubepods-besteffort.slice"
# A watchdog that a test can wait for, also when the process that it is to end is stopped and hears no SIGABRT.
IMPATIENT: Final = f"[Service]\nWatchdogSec={patience(3):.0f}\nTimeoutAbortSec=3\nTimeoutStartSec={patience(90):.0f}\n"
OVERRIDE: Final = "/run/systemd/system/cri-shim.service.d/test.conf"


@dataclass
class Story:
    """The machine, and what goes on from test to test."""

    node: Node
    pod: str = ""
    container: str = ""
    pid: int = 0

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.node.run(["systemctl", *words], timeout=120, check=check).stdout

    def shown(self, unit: str, name: str) -> str:
        return self.systemctl("show", "-p", name, "--value", unit).strip()

    def cri_shim(self, *words: str) -> str:
        return self.node.run([COMMAND, *words], timeout=120).stdout

    def journal(self) -> str:
        return self.node.run(["journalctl", "-b", "-o", "cat", "-u", "cri-shim", "-n", "400"], check=False).stdout


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with Node.start(NodePlan(layers=prepare(), binds=source_binds()), whole=True) as node:
        write_network(node)
        node.write(MAIN.config, config(PLACE, Changes(systemd_cgroup=True)))
        node.write(COMMAND, SCRIPT, 0o755)
        node.write(OVERRIDE, IMPATIENT)
        Registry(node).daemon.start()
        story = Story(node)
        story.systemctl("restart", "containerd.service")
        yield story
        story.systemctl("stop", *UNITS, "containerd.service", check=False)


@contextlib.asynccontextmanager
async def client(socket: str) -> AsyncIterator[Kubelet]:
    channel = Channel(path=socket)
    try:
        yield Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), "/", cgroup_parent=PARENT)
    finally:
        channel.close()


async def still_runs(story: Story, socket: str = SOCKET) -> None:
    """The pod and its container are what they were, process for process."""
    async with client(socket) as kubelet:

        async def listed() -> list[cri.PodSandbox] | None:
            try:
                return await kubelet.list_pods()
            except GRPCError as error:  # while it looks at what runs, as the kubelet knows it
                if error.status is not Status.UNAVAILABLE:
                    raise
                return None

        (pod,) = await eventually(listed, 60)
        assert (pod.id, pod.state) == (story.pod, cri.PodSandboxState.SANDBOX_READY)
        assert (await kubelet.status(story.container)).state == cri.ContainerState.CONTAINER_RUNNING
        assert (await kubelet.exec(story.container, "echo", "here")).stdout == b"here\n"
    os.kill(story.pid, 0)


async def active(story: Story, former: str) -> str:
    """The main process of the service once it is up again."""

    async def another() -> str | None:
        pid = story.shown("cri-shim.service", "MainPID")
        return pid if pid not in ("0", former) and story.shown("cri-shim.service", "ActiveState") == "active" else None

    return await eventually(another, 60)


async def test_at_first_containerds_own_cri_runs_a_pod(story: Story) -> None:
    async with client(MAIN.socket) as kubelet:

        async def answers() -> bool | None:
            with contextlib.suppress(Exception):  # it is still starting
                await kubelet.runtime.version(cri.VersionRequest())
                return True
            return None

        await eventually(answers, 60)
        for image in (PAUSE, BUSYBOX):
            await kubelet.pull(image)
        pod = await kubelet.run_pod()
        story.pod, story.container = pod.id, await kubelet.run(pod)
        answer = await kubelet.runtime.container_status(
            cri.ContainerStatusRequest(container_id=story.container, verbose=True)
        )
    story.pid = json.loads(answer.info["info"])["pid"]


async def test_installed_it_is_active_when_it_can_serve_and_has_the_pod(story: Story) -> None:
    said = story.cri_shim("install", "--executable", COMMAND)
    assert "nothing was done" in said
    assert story.shown("cri-shim.service", "LoadState") == "not-found"
    story.cri_shim("install", "--executable", COMMAND, "--apply")
    assert await active(story, "0")
    assert story.shown("cri-shim.service", "Type") == "notify"
    assert [story.shown(unit, "UnitFileState") for unit in UNITS] == ["enabled", "enabled"]
    await still_runs(story)
    assert story.cri_shim("install", "--executable", COMMAND, "--apply") == "nothing to do: installed already\n"


def test_systemd_finds_nothing_wrong_with_the_units(story: Story) -> None:
    paths = [story.shown(unit, "FragmentPath") for unit in UNITS]
    done = story.node.run(["systemd-analyze", "verify", "--man=no", *paths], timeout=120)
    assert [line for line in done.stderr.splitlines() if "cri-shim" in line] == []


async def test_a_restart_leaves_pods_running_and_clients_waiting_in_the_socket(story: Story) -> None:
    before = story.shown("cri-shim.service", "MainPID")
    story.systemctl("restart", "--no-block", "cri-shim.service")
    await still_runs(story)
    assert await active(story, before)
    assert story.shown("cri-shim.service", "Result") == "success"


async def test_a_client_that_dials_starts_it(story: Story) -> None:
    story.systemctl("stop", "cri-shim.service")
    assert story.shown("cri-shim.socket", "ActiveState") == "active"
    await still_runs(story)
    assert story.shown("cri-shim.service", "ActiveState") == "active"


async def test_killed_it_is_started_again(story: Story) -> None:
    before = story.shown("cri-shim.service", "MainPID")
    os.kill(int(before), signal.SIGKILL)
    assert await active(story, before)
    await still_runs(story)


async def test_a_loop_that_stands_still_is_ended_by_the_watchdog(story: Story) -> None:
    before = story.shown("cri-shim.service", "MainPID")
    restarts = int(story.shown("cri-shim.service", "NRestarts"))
    fed = story.shown("cri-shim.service", "WatchdogTimestampMonotonic")

    async def fed_again() -> bool | None:
        return story.shown("cri-shim.service", "WatchdogTimestampMonotonic") != fed or None

    assert await eventually(fed_again, 30), "it is fed while the loop turns"
    os.kill(int(before), signal.SIGSTOP)
    assert await active(story, before)
    assert int(story.shown("cri-shim.service", "NRestarts")) == restarts + 1
    assert "Watchdog timeout" in story.journal()
    await still_runs(story)


async def test_a_reload_is_no_restart(story: Story) -> None:
    before = story.shown("cri-shim.service", "MainPID")
    story.systemctl("reload", "cri-shim.service")
    await still_runs(story)
    assert story.shown("cri-shim.service", "MainPID") == before


async def test_it_is_restarted_with_containerd(story: Story) -> None:
    before = story.shown("cri-shim.service", "MainPID")
    story.systemctl("restart", "containerd.service")
    assert await active(story, before)
    await still_runs(story)


async def test_uninstalled_everything_is_as_before_and_the_pod_is_containerds(story: Story) -> None:
    story.cri_shim("uninstall", "--apply")
    assert story.shown("cri-shim.service", "ActiveState") == "inactive"
    for path in (SOCKET, "/etc/cri-shim/installed.json", "/etc/systemd/system/cri-shim.service"):
        assert not story.node.path(path).exists(), path

    async def answers() -> bool | None:
        with contextlib.suppress(Exception):  # it is still starting
            await still_runs(story, MAIN.socket)
            return True
        return None

    assert await eventually(answers, 60)
    async with client(MAIN.socket) as kubelet:
        await kubelet.clean_up()
