"""`cri-shim smoke`, as it is run on a node, against the endpoint that is tested."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import anyio
import pytest
from anyio import to_thread
from anyio.from_thread import start_blocking_portal
from click.testing import CliRunner

from cri_shim.api.runtime import v1 as cri
from cri_shim.cli import cli
from cri_shim.smoke import place
from cri_shim.smoke.catalog import CHECKS, chosen
from integration.harness import shim
from integration.harness.containerd import PEER
from integration.harness.registry import SMOKE_PORT
from integration.kubelet import BUSYBOX
from integration.lying_endpoint import lying, refusing

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from integration.harness.assembly import RunningNode
    from integration.harness.node import NodeProcess
    from integration.kubelet import Kubelet

pytestmark = [pytest.mark.anyio]

SECONDS = 240.0
# Features of a machine that not every one has; what the peer of this version doesn't implement says so itself.
SKIPPED = re.compile(
    "the node has no AppArmor|the handler has no|is not on a shared mount|the kernel does not tell of filters"
)
LACKING = re.compile(
    "does not implement it|does not speak v5|does not tunnel|does not tell of stop signals|containerd's plugin"
)


@dataclass(frozen=True)
class Smoke:
    """The command, in the node."""

    running: RunningNode

    @property
    def argv(self) -> list[str]:
        socket = PEER.socket if self.running.peer else shim.SOCKET
        return shim.command("smoke", "--endpoint", f"unix://{socket}", "--registry-port", str(SMOKE_PORT))

    @property
    def environment(self) -> dict[str, str]:
        return shim.source(from_wheel="CRI_SHIM_WHEEL" in os.environ)

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await to_thread.run_sync(
            lambda: self.running.node.run([*self.argv, *arguments], env=self.environment, timeout=SECONDS, check=False)
        )

    async def begun(self, until: Callable[[str], bool], *arguments: str) -> NodeProcess:
        """A run that goes on, as soon as what it has said so far is enough."""
        log = self.running.node.path("/tmp/smoke.log")
        with log.open("w") as stderr:
            process = self.running.node.popen([*self.argv, *arguments], env=self.environment, stderr=stderr)
        with anyio.fail_after(60):
            while not until(log.read_text()):
                assert process.poll() is None, log.read_text()
                await anyio.sleep(0.02)
        return process

    def directory(self) -> Path:
        return self.running.node.path("/var/lib/cri-smoke")


@pytest.fixture
def smoke(running: RunningNode) -> Smoke:
    return Smoke(running)


async def test_every_check_passes_or_says_why_and_all_reports_tell_the_same(
    smoke: Smoke, kubelet: Kubelet, endpoint: str
) -> None:
    other = await kubelet.run_pod()
    before = (await kubelet.pod_status(other)).status
    done = await smoke.run("--junit", "/tmp/smoke.xml", "--json", "/tmp/smoke.json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(smoke.running.node.path("/tmp/smoke.json").read_text())
    assert [check["id"] for check in told["checks"]] == [check.id for check in CHECKS]
    reasons = [check["reason"] for check in told["checks"] if check["state"] == "skipped"]
    known = SKIPPED if endpoint == "shim" else re.compile(f"{SKIPPED.pattern}|{LACKING.pattern}")
    assert [reason for reason in reasons if not known.search(reason)] == []
    assert (told["passed"], told["skipped"], told["failed"]) == (len(CHECKS) - len(reasons), len(reasons), 0)
    assert f"{told['passed']} passed, 0 failed, {told['skipped']} skipped in" in done.stdout
    rows = re.findall(r"^  (\S+) +│ (passed|skipped) +│", done.stdout, re.MULTILINE)
    assert rows == [(check["id"].partition(".")[2], check["state"]) for check in told["checks"]]
    suites = ET.parse(smoke.running.node.path("/tmp/smoke.xml")).getroot()
    cases = [(case.get("name"), case.find("skipped") is not None) for case in suites.iter("testcase")]
    assert cases == [(check["id"], check["state"] == "skipped") for check in told["checks"]]
    assert (suites.get("tests"), suites.get("failures")) == (str(len(CHECKS)), "0")
    assert (await kubelet.pod_status(other)).status == before
    assert not smoke.directory().exists()
    await no_images_are_left(kubelet)


async def no_images_are_left(kubelet: Kubelet) -> None:
    listed = (await kubelet.images.list_images(cri.ListImagesRequest())).images
    assert [name for image in listed for name in (*image.repo_tags, *image.repo_digests) if "cri-smoke" in name] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_run_leaves_nothing(smoke: Smoke, kubelet: Kubelet, number: signal.Signals) -> None:
    process = await smoke.begun(lambda said: "passed  containers." in said, "--only", "containers", "--only", "mounts")
    process.send_signal(number)
    assert await to_thread.run_sync(process.wait, 60) == 128 + number
    assert await kubelet.list_pods() == []
    assert not smoke.directory().exists()
    await no_images_are_left(kubelet)


async def test_what_a_killed_run_has_left_is_told_of_and_swept_and_nothing_else(smoke: Smoke, kubelet: Kubelet) -> None:
    """It is killed while it waits for a container's end: not every runtime undoes a call that nobody waits for."""
    other = await kubelet.run_pod()
    waiting = "containers.stop-kills-after-the-timeout"
    process = await smoke.begun(
        lambda _: any(log.read_text().endswith("ready\n") for log in smoke.directory().glob("*/*/main-*.log")),
        "--only",
        waiting,
    )
    process.kill()
    await to_thread.run_sync(process.wait, 60)
    assert len(await kubelet.list_pods()) > 1
    following = await smoke.run("--only", "runtime")
    assert following.returncode == 0
    assert "earlier runs have left something" in following.stderr
    swept = await smoke.run("--sweep")
    assert (swept.returncode, "pods: " in swept.stdout) == (0, True), swept.stdout + swept.stderr
    assert [pod.id for pod in await kubelet.list_pods()] == [other.id]
    assert not smoke.directory().exists()
    await no_images_are_left(kubelet)


async def test_a_run_that_goes_on_is_nobodys_to_sweep(smoke: Smoke, kubelet: Kubelet) -> None:
    process = await smoke.begun(lambda said: "passed  containers." in said, "--only", "containers")
    swept = await smoke.run("--sweep")
    assert (swept.returncode, "have left: nothing" in swept.stdout) == (0, True), swept.stdout + swept.stderr
    assert await to_thread.run_sync(process.wait, 60) == 0
    assert await kubelet.list_pods() == []


async def test_a_named_image_serves_as_well(smoke: Smoke, kubelet: Kubelet) -> None:  # noqa: ARG001
    done = await smoke.run("--image", BUSYBOX, "--only", "exec-sync", "--only", "port-forward", "--only", "logs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


async def test_an_image_that_can_not_be_pulled_is_no_failure_of_a_check(smoke: Smoke, kubelet: Kubelet) -> None:  # noqa: ARG001
    done = await smoke.run("--image", "registry.k8s.io/no/such:image", "--only", "runtime")
    assert (done.returncode, "can't be pulled" in done.stderr) == (2, True)


@pytest.mark.usefixtures("anyio_backend")  # for its fixtures: the command has a loop of its own
def test_a_node_can_be_tested_from_outside(smoke: Smoke, kubelet: Kubelet) -> None:  # noqa: ARG001
    """Files and network are the runtime's, whoever's namespaces the command is in."""
    wanted = ["--only", "network", "--only", "logs", "--only", "streams.exec-over-spdy", "--only", "mounts.*node"]
    result = in_this_process("--endpoint", outside(smoke), "--registry-port", SMOKE_PORT, *wanted)
    assert result.exit_code == 0, result.output
    assert not smoke.directory().exists()


def outside(smoke: Smoke) -> str:
    running = smoke.running
    return running.peer_endpoint if running.peer else running.shim_endpoint


def in_this_process(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["smoke", *map(str, arguments)])


def wrong_code(answer: cri.ExecSyncResponse) -> cri.ExecSyncResponse:
    return cri.ExecSyncResponse(stdout=answer.stdout, stderr=answer.stderr, exit_code=answer.exit_code + 1)


@pytest.mark.usefixtures("anyio_backend")  # as above
def test_an_endpoint_that_lies_fails_just_the_checks_that_look(
    smoke: Smoke,
    kubelet: Kubelet,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, liar = outside(smoke), tmp_path / "cri.sock"
    lies = {"ExecSync": wrong_code, "ImageFsInfo": refusing}
    checks = ("exec-sync.outputs*", "exec-sync.success*", "exec-sync.large*", "images.filesystem*", "pods.verbose*")
    files = {"junit": tmp_path / "junit.xml", "json": tmp_path / "result.json"}
    options = [f"--{name}={file}" for name, file in files.items()]
    with start_blocking_portal() as portal:
        where = portal.call(place.find, real)
        monkeypatch.setattr(place, "find", lambda _: answered(where))
        with portal.wrap_async_context_manager(lying(str(liar), real.removeprefix("unix://"), lies)):
            wanted = [f"--only={check}" for check in checks]
            result = in_this_process("--endpoint", f"unix://{liar}", "--image", BUSYBOX, *options, *wanted)
    assert result.exit_code == 1, result.output
    told = {check["id"]: check for check in json.loads(files["json"].read_text())["checks"]}
    assert set(told) == {check.id for check in chosen(checks, [])}
    assert {name for name, check in told.items() if check["state"] == "failed"} == {
        "exec-sync.outputs-and-exit-code",
        "exec-sync.success-is-zero",
        "images.filesystem-of-images-is-told",
    }
    assert told["images.filesystem-of-images-is-told"]["came"] == "INTERNAL: a lie"
    assert "43)" in told["exec-sync.outputs-and-exit-code"]["came"]
    failures = [case.get("name") for case in ET.parse(files["junit"]).getroot().iter("testcase") if len(case)]
    assert failures == [name for name, check in told.items() if check["state"] == "failed"]


async def answered(where: place.Place) -> place.Place:
    return where
