"""What an operator sees of a server at work: its metrics move as they should, and no secret is ever told."""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from anyio import to_thread
from grpclib import GRPCError
from grpclib.client import Channel
from prometheus_client.parser import text_string_to_metric_families

from cri_shim.api.runtime import v1 as cri
from integration.harness.assembly import running_node
from integration.harness.containerd import PAUSE, Changes
from integration.harness.own_registry import PASSWORD, REFRESH, USER, OwnRegistry, Trouble
from integration.images.build import CERTS_D
from integration.images.content import File, Form, Image
from integration.images.store import Store
from integration.kubelet import BUSYBOX, Kubelet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from integration.harness.assembly import RunningNode

pytestmark = [pytest.mark.anyio, pytest.mark.shim_only]  # containerd's plugin has other ways to be watched

METRICS = "127.0.0.1:9690"
RUNC = "io.containerd.runc.v2"
HOST, PORT = "watched.test", 5002
LAYER = 1 << 20
LINES, LONG = 1000, 40_000  # lines that are said, and the length of one that no record holds (16384 bytes)
OUTPUT = f"seq {LINES}; head -c {LONG} /dev/zero | tr '\\0' x; echo"


@pytest.fixture(scope="module")
def watched() -> Iterator[RunningNode]:
    """A node whose cri-shim tells everything that it can."""
    own = {"metrics_address": METRICS, "log_level": "trace", "log_format": "json"}
    table = "".join(f"  {key} = '{value}'\n" for key, value in own.items())
    with running_node(changes=Changes(more=f"[plugins.'io.cri-shim.v1']\n{table}")) as node:
        yield node


@pytest.fixture
async def kubelet(watched: RunningNode) -> AsyncIterator[Kubelet]:
    """As everywhere, on that node."""
    assert watched.shim
    channel = Channel(path=str(watched.shim.socket))
    client = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(watched.node.root))
    yield client
    await client.remove_all()
    channel.close()


class Scrape(dict[str, float]):
    """All samples, `name{label="value",…}` with its labels sorted, and what has changed since another scrape."""

    @classmethod
    async def of(cls, node: RunningNode) -> Scrape:
        fetch = ["busybox", "wget", "-qO-", f"http://{METRICS}/metrics"]
        text = (await to_thread.run_sync(lambda: node.node.run(fetch))).stdout
        found = cls()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def since(self, before: Scrape) -> Scrape:
        return Scrape({name: value - before.get(name, 0.0) for name, value in self.items()})

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of the name with these labels."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        found = [
            value
            for sample, value in self.items()
            if sample.partition("{")[0] == name and wanted <= set(sample.partition("{")[2].rstrip("}").split(","))
        ]
        assert found, f"there is no {name} with {labels}"
        return sum(found)


async def test_metrics_move_as_the_work_does(kubelet: Kubelet, watched: RunningNode) -> None:
    await kubelet.pull(PAUSE)
    before = await Scrape.of(watched)
    await kubelet.pull(BUSYBOX)
    pods = [await kubelet.run_pod() for _ in range(2)]
    for pod in pods:
        container = await kubelet.run(pod, kubelet.container_config(("sh", "-c", OUTPUT)))
        assert (await kubelet.exited(container)).exit_code == 0
        await kubelet.remove(container)
    with pytest.raises(GRPCError):
        await kubelet.status("no-such-container")
    for _ in range(3):
        await kubelet.list_containers()
    await kubelet.remove_all()
    moved = (await Scrape.of(watched)).since(before)

    rpcs = {
        ("RunPodSandbox", "OK"): 2,
        ("CreateContainer", "OK"): 2,
        ("StartContainer", "OK"): 2,
        ("PullImage", "OK"): 1,
    }
    for (rpc, code), count in {**rpcs, ("ContainerStatus", "NOT_FOUND"): 1, ("ListContainers", "OK"): 3}.items():
        assert moved.total("cri_shim_rpcs_total", rpc=rpc, code=code) == count
    assert moved.total("cri_shim_rpc_duration_seconds_count", rpc="RunPodSandbox") == 2
    assert moved.total("cri_shim_rpcs_under_way") == 0
    assert moved.total("cri_shim_step_duration_seconds_count", call="RunPodSandbox", step="CNI ADD") == 2

    for plugin, verb in itertools.product(("bridge", "portmap"), ("ADD", "DEL")):
        assert moved.total("cri_shim_cni_plugin_runs_total", plugin=plugin, verb=verb, result="success") == 2
        assert moved.total("cri_shim_cni_plugin_duration_seconds_sum", plugin=plugin, verb=verb) > 0

    tasks = {"service": "containerd.services.tasks.v1.Tasks"}
    assert moved.total("cri_shim_containerd_calls_total", method="Create", code="OK", **tasks) == 4
    assert moved.total("cri_shim_containerd_calls_total", method="Wait", code="OK", **tasks) == 4
    assert moved.total("cri_shim_containerd_call_duration_seconds_count", method="Start", **tasks) == 4
    assert moved.total("cri_shim_containerd_call_duration_seconds_sum", method="Start", **tasks) > 0
    assert moved.total("cri_shim_containerd_call_duration_seconds_count", method="Wait", **tasks) == 0

    assert moved.total("cri_shim_event_lag_seconds_count", event="exit") == 4
    assert 0 <= moved.total("cri_shim_event_lag_seconds_sum", event="exit") < 4 * 30
    for queue in ("container events", "threads"):
        assert moved.total("cri_shim_queue_depth", queue=queue) == 0
    assert moved.total("cri_shim_log_waiting_bytes") == moved.total("cri_shim_log_lines_lost_total") == 0

    said = 2 * (sum(len(f"{number}\n") for number in range(1, LINES + 1)) + LONG + 1)
    assert moved.total("containerd_cri_input_bytes_total") == said
    assert moved.total("containerd_cri_output_bytes_total") > said
    assert moved.total("containerd_cri_input_entries_total") == 2 * (LINES + 1)
    assert moved.total("containerd_cri_split_entries_total") == 2 * 2
    assert moved.total("containerd_cri_output_entries_total") == 2 * (LINES + 1 + 2)

    for timer, count in {"create": 2, "start": 2, "remove": 2}.items():
        assert moved.total(f"containerd_cri_container_{timer}_seconds_count", runtime=RUNC) == count
    for timer in ("sandbox_runtime_create", "sandbox_runtime_stop", "sandbox_remove"):
        assert moved.total(f"containerd_cri_{timer}_seconds_count", runtime=RUNC) == 2
    for timer in ("sandbox_create_network", "sandbox_delete_network"):
        assert moved.total(f"containerd_cri_{timer}_seconds_count") == 2
    assert moved.total("containerd_cri_container_list_seconds_count") == 3
    for kind in ("set_up_pod", "tear_down_pod"):
        assert moved.total("containerd_cri_network_plugin_operations_total_total", operation_type=kind) == 2
        assert moved.total("containerd_cri_network_plugin_operations_duration_seconds_seconds_count") >= 4
    assert moved.total("containerd_cri_sandboxed_image_pulls_total", status="success") == 1
    assert moved.total("containerd_cri_sandboxed_in_progress_image_pulls_total") == 0

    assert moved.total("process_cpu_seconds_total") > 0
    scraped = await Scrape.of(watched)
    assert scraped["process_resident_memory_bytes"] > 10 << 20
    assert scraped["process_open_fds"] > 5


async def test_the_bytes_of_a_pull_are_counted(kubelet: Kubelet, watched: RunningNode) -> None:
    layer = random.Random(1).randbytes(LAYER)
    image = Image((f"{HOST}/large:1",), ((File("data", layer),),), {"Cmd": ["x"]}, "", Form.OCI_INDEX)
    with OwnRegistry(watched.node, PORT, HOST, Store([image])) as registry:
        lead(watched, registry)
        registry.troubles.append(
            Trouble("GET .*/blobs/", after=LAYER // 2, pause=0.05)
        )  # containerd tells now and then
        before = await Scrape.of(watched)
        await kubelet.pull(f"{HOST}/large:1")
        moved = (await Scrape.of(watched)).since(before)
    await kubelet.remove_image(f"{HOST}/large:1")
    assert LAYER <= moved.total("cri_shim_image_pulled_bytes_total") < LAYER + (64 << 10)
    assert moved.total("cri_shim_image_pull_duration_seconds_count") == 1
    assert moved.total("containerd_cri_sandboxed_image_pulling_throughput_mibps_count") == 1


async def test_more_pods_are_no_more_samples(kubelet: Kubelet, watched: RunningNode) -> None:
    for image in (PAUSE, BUSYBOX):
        await kubelet.pull(image)

    async def life() -> set[str]:
        pod = await kubelet.run_pod()
        await kubelet.exited(await kubelet.run(pod, kubelet.container_config(("true",))))
        await kubelet.remove_all()
        return {sample for sample in await Scrape.of(watched) if not sample.startswith(("process_", "python_"))}

    settled = await life() | await life()
    assert await life() == settled
    assert len(settled) < 4000


async def test_lines_name_the_pod_that_they_are_about(kubelet: Kubelet, watched: RunningNode) -> None:
    for image in (PAUSE, BUSYBOX):
        await kubelet.pull(image)
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod, kubelet.container_config(name="main"))
    await kubelet.exec(container, "true")
    await kubelet.stop(container)
    await kubelet.remove(container)
    await kubelet.remove_all()
    metadata = pod.config.metadata
    assert metadata
    about = {"pod": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid}
    lines = [line for line in log_lines(watched) if {pod.id, container} & set(map(str, line.values()))]
    calls = {"StartContainer", "ExecSync", "StopContainer", "RemoveContainer", "StopPodSandbox", "RemovePodSandbox"}
    assert calls <= {line["msg"] for line in lines}
    for line in lines:
        told = {**about, "container": "main"} if container in line.values() else about
        assert {key: line.get(key) for key in told} == told, line


def lead(node: RunningNode, registry: OwnRegistry) -> None:
    """Have the registry's name lead to it."""
    hosts = f'[host."{registry.url}"]\ncapabilities = ["pull", "resolve"]\n'
    node.node.write(f"{CERTS_D}/{HOST}/hosts.toml", f'server = "{registry.url}"\n{hosts}')


def log_lines(node: RunningNode) -> list[dict[str, object]]:
    text = node.node.path("/var/log/cri-shim.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def test_no_secret_is_ever_told(kubelet: Kubelet, watched: RunningNode) -> None:
    image = Image((f"{HOST}/plain:1",), ((File("data", b"x"),),), {"Cmd": ["x"]}, "", Form.OCI_INDEX)
    encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    accounts = [
        ("basic", cri.AuthConfig(username=USER, password=PASSWORD)),
        ("basic", cri.AuthConfig(auth=encoded)),
        ("token", cri.AuthConfig(username=USER, password=PASSWORD)),
        ("token", cri.AuthConfig(identity_token=REFRESH)),
        ("basic", cri.AuthConfig(username=USER, password=PASSWORD, server_address="elsewhere.test")),
        ("token", cri.AuthConfig(registry_token="a-token-that-opens-nothing")),
    ]
    with OwnRegistry(watched.node, PORT, HOST, Store([image])) as registry, CommandLines() as seen:
        lead(watched, registry)
        outcomes = []
        for scheme, auth in accounts:
            registry.auth = scheme
            request = cri.PullImageRequest(image=cri.ImageSpec(image=f"{HOST}/plain:1"), auth=auth)
            try:
                await kubelet.images.pull_image(request)
                outcomes.append("pulled")
                await kubelet.remove_image(f"{HOST}/plain:1")
            except GRPCError as error:
                outcomes.append(error.message or "")
    assert outcomes[:4] == ["pulled"] * 4
    assert "pulled" not in outcomes[4:]
    told = watched.node.path("/var/log/cri-shim.log").read_text()
    assert "PullImage begins" in told
    assert '"level":"trace"' in told
    metrics = "\n".join(await Scrape.of(watched))
    for secret in (PASSWORD, encoded, REFRESH, "a-token-that-opens-nothing"):
        for text in (told, metrics, *outcomes, *seen.lines):
            assert secret not in text


class CommandLines:
    """Every command line and environment that a process of ours has while the block lasts: looked at all the time."""

    def __init__(self) -> None:
        self.lines: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for process in Path("/proc").iterdir():
                if re.fullmatch(r"\d+", process.name):
                    for name in ("cmdline", "environ"):
                        try:
                            self.lines.add((process / name).read_text(errors="replace"))
                        except OSError:
                            continue
