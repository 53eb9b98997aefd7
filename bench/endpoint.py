"""A CRI endpoint as the bench uses it: a connection, the server's process, and pods by short calls."""

from __future__ import annotations

import itertools
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from grpclib.client import Channel

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

IMAGE = "registry.k8s.io/e2e-test-images/busybox:1.29-4"
_TICKS = os.sysconf("SC_CLK_TCK")
T = TypeVar("T")
_numbers = itertools.count(1)


@dataclass(eq=False)
class Endpoint:
    """One of the two servers; `pid` is the server's in this process's pid namespace."""

    name: str
    pid: int
    runtime: cri.RuntimeServiceStub
    images: cri.ImageServiceStub
    log_root: str  # in the node
    node_root: Path  # as this process sees it
    samples: dict[str, list[float]] = field(default_factory=dict)

    def record(self, work: str, value: float) -> None:
        self.samples.setdefault(work, []).append(value)

    async def timed(self, work: str, call: Callable[[], Awaitable[T]]) -> T:
        """Await `call()` and record how many milliseconds it took."""
        start = time.perf_counter()
        result = await call()
        self.record(work, (time.perf_counter() - start) * 1e3)
        return result

    def cpu_seconds(self) -> float:
        """The CPU time, user and system, that the server's process has used."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mebibytes(self) -> float:
        """The server's resident memory."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            kilobytes = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        return kilobytes / 1024


@asynccontextmanager
async def connect(name: str, socket: str, pid: int, log_root: str, node_root: Path) -> AsyncIterator[Endpoint]:
    """An endpoint at the Unix socket `socket`."""
    channel = Channel(path=socket, codec=CriCodec())
    try:
        yield Endpoint(name, pid, cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), log_root, node_root)
    finally:
        channel.close()


def pod_config(endpoint: Endpoint, *, host_network: bool = False) -> cri.PodSandboxConfig:
    """A pod of its own, every time."""
    number = next(_numbers)
    mode = cri.NamespaceMode.NODE if host_network else cri.NamespaceMode.POD
    name = f"bench-{endpoint.name}-{number}"
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=name, uid=name, namespace="bench", attempt=0),
        hostname="" if host_network else "bench",
        log_directory=f"{endpoint.log_root}/{name}",
        labels={"app": "bench"},
        linux=cri.LinuxPodSandboxConfig(
            cgroup_parent="/bench",  # the kubelet always gives one, and the plugin has no stats of a pod without
            security_context=cri.LinuxSandboxSecurityContext(namespace_options=cri.NamespaceOption(network=mode)),
        ),
    )


def container_config(command: list[str], name: str = "main") -> cri.ContainerConfig:
    """A container of busybox that runs `command`."""
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=name, attempt=0),
        image=cri.ImageSpec(image=IMAGE),
        command=command,
        log_path=f"{name}.log",
        labels={"app": "bench"},
        linux=cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext()),
    )
