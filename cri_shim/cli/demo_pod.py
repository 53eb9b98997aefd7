"""The demo's pod, from its image to its end, told as it goes."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import click
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cli.cri_client import CriClient, connect
from cri_shim.cli.drawn_timelines import drawn
from cri_shim.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

IMAGE: Final = "docker.io/library/busybox:latest"
_SAYS: Final = 'echo "Hello from $(hostname)."; echo "This went to standard error." >&2; exec sleep 600'
_EXEC: Final = ("ip", "-o", "-4", "addr")
_LOG: Final = "main/0.log"
_LOG_LINES: Final = 2
_LOG_PATIENCE: Final = 10.0  # seconds
_POLL: Final = 0.005
_CLEANUP: Final = 30.0
_INDENT: Final = "  "

_POD: Final = cri.PodSandboxConfig(
    metadata=cri.PodSandboxMetadata(name="hello", namespace="default", uid="demo"),
    hostname="hello",
    log_directory="/var/log/pods/default_hello_demo",
    linux=cri.LinuxPodSandboxConfig(),
)
_CONTAINER: Final = cri.ContainerConfig(
    metadata=cri.ContainerMetadata(name="main"),
    image=cri.ImageSpec(image=IMAGE),
    command=["sh", "-c", _SAYS],
    log_path=_LOG,
    linux=cri.LinuxContainerConfig(),
)


async def show(endpoint: str, seen_from_here: Callable[[str], Path], sandbox_image: str) -> None:
    """Run the pod at `endpoint`, print what it says and where the time of its start went, and remove it.

    `seen_from_here` gives the path of a file of the node's. The sandbox's image is pulled beforehand, as on a node that
    has run a pod before. Raises the errors that the endpoint answers with.
    """
    async with connect(endpoint) as client:
        version = await client.runtime.version(cri.VersionRequest())
        click.echo(f"CRI {version.runtime_api_version}: {version.runtime_name} {version.runtime_version}\n")
        for image in (sandbox_image, IMAGE):
            with _timed(f"Pulled {image}"):
                await client.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=image)))
        async with _pod(client) as pod_id:
            container_id = await _container(client, pod_id)
            await _tell(_Told(client, pod_id, container_id, seen_from_here(f"{_POD.log_directory}/{_LOG}")))


@asynccontextmanager
async def _pod(client: CriClient) -> AsyncIterator[str]:
    with _timed("Started the pod"):
        request = cri.RunPodSandboxRequest(config=_POD)
        pod_id = (await client.runtime.run_pod_sandbox(request)).pod_sandbox_id
    try:
        yield pod_id
    finally:
        with anyio.move_on_after(_CLEANUP, shield=True), _timed("Stopped and removed the pod"):
            await client.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod_id))
            await client.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod_id))


async def _container(client: CriClient, pod_id: str) -> str:
    with _timed("Started a container in it"):
        request = cri.CreateContainerRequest(pod_sandbox_id=pod_id, config=_CONTAINER, sandbox_config=_POD)
        container_id = (await client.runtime.create_container(request)).container_id
        await client.runtime.start_container(cri.StartContainerRequest(container_id=container_id))
    return container_id


@dataclass(frozen=True)
class _Told:
    """The pod that runs: its client, its ids, the file of its log."""

    client: CriClient
    pod_id: str
    container_id: str
    log: Path


async def _tell(pod: _Told) -> None:
    """Print the pod's address, its log, a command's output, and its start."""
    runtime = pod.client.runtime
    sandbox = await runtime.pod_sandbox_status(cri.PodSandboxStatusRequest(pod_sandbox_id=pod.pod_id, verbose=True))
    container = await runtime.container_status(cri.ContainerStatusRequest(container_id=pod.container_id, verbose=True))
    network = sandbox.status.network if sandbox.status else None
    _section(f"Its address: {network.ip if network else 'none'}")
    _section("Its log, as the kubelet finds it:", await _log_text(pod.log))
    ran = await runtime.exec_sync(cri.ExecSyncRequest(container_id=pod.container_id, cmd=list(_EXEC), timeout=10))
    _section(f"`{' '.join(_EXEC)}` in it:", (ran.stdout + ran.stderr).decode(errors="replace"))
    _section("Where the time of its start went:", drawn((sandbox.info, container.info), len(_INDENT)))


async def _log_text(path: Path) -> str:
    """The log once its lines are there. Raises DeadlineExceeded when they don't come."""
    with anyio.move_on_after(_LOG_PATIENCE):
        while True:
            text = await to_thread.run_sync(_read, path)
            if text.count("\n") >= _LOG_LINES:
                return text
            await anyio.sleep(_POLL)
    raise DeadlineExceeded(f"{path}: the container's {_LOG_LINES} lines are not there after {_LOG_PATIENCE} s")


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextmanager
def _timed(what: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    click.echo(f"{what:<50}{(time.monotonic() - begin) * 1e3:8.1f} ms")


def _section(title: str, text: str = "") -> None:
    click.echo(f"\n{click.style(title, bold=True)}")
    for line in text.splitlines():
        click.echo(_INDENT + line)
