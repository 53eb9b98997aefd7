"""What pods and containers leave in a node while they live, enumerated: containerd's objects and the system's.

Nothing of cri-shim is asked, only containerd and the kernel, so that what is found is what is there. Images are no
traces, nor is what the first pod makes for all later ones (the bridge, the parent cgroup).
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grpclib.client import Channel

from cri_shim.api.containerd.services.containers.v1 import containers_grpc, containers_pb2
from cri_shim.api.containerd.services.leases.v1 import leases_grpc, leases_pb2
from cri_shim.api.containerd.services.sandbox.v1 import sandbox_grpc, sandbox_pb2
from cri_shim.api.containerd.services.snapshots.v1 import snapshots_grpc, snapshots_pb2
from cri_shim.api.containerd.services.tasks.v1 import tasks_grpc, tasks_pb2
from cri_shim.linux import mountinfo
from integration.harness.containerd import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from integration.harness.containerd import Containerd, Place
    from integration.harness.node import Node

_CRI: Final = "io.containerd.grpc.v1.cri"
_TASKS: Final = "io.containerd.runtime.v2.task"
_RUNTIMES: Final = f"/run/containerd/runc/{NAMESPACE}"
_ID: Final = re.compile(r"[0-9a-f]{64}")
_LASTING_INTERFACES: Final = ("lo", "cni0")
_DAEMONS: Final = ("containerd", "docker-registry")
_SHIM: Final = "-m cri_shim"
_KERNEL_THREAD: Final = "\nKthread:\t1\n"  # proc_pid_status(5); there are none in a pid namespace

Traces = dict[str, frozenset[str]]


@dataclass(frozen=True)
class Tracer:
    """Looks at one node and one containerd in it."""

    containerd: Containerd

    async def traces(self) -> Traces:
        """Everything there is now, by kind."""
        return {**await self._objects(), **self._system()}

    # ── containerd's objects ────────────────────────────────────────────────────────────────────────────────────────

    async def _objects(self) -> Traces:
        channel = Channel(path=str(self.containerd.socket))
        metadata = {"containerd-namespace": NAMESPACE}
        try:
            containers = await containers_grpc.ContainersStub(channel).List(
                containers_pb2.ListContainersRequest(), metadata=metadata
            )
            tasks = await tasks_grpc.TasksStub(channel).List(tasks_pb2.ListTasksRequest(), metadata=metadata)
            leases = await leases_grpc.LeasesStub(channel).List(leases_pb2.ListRequest(), metadata=metadata)
            sandboxes = await sandbox_grpc.StoreStub(channel).List(sandbox_pb2.StoreListRequest(), metadata=metadata)
            return {
                "containers": frozenset(container.id for container in containers.containers),
                "tasks": frozenset(task.id for task in tasks.tasks),
                "leases": frozenset(lease.id for lease in leases.leases),
                "sandboxes": frozenset(sandbox.sandbox_id for sandbox in sandboxes.list),
                "snapshots": await self._snapshots(channel, metadata),
            }
        finally:
            channel.close()

    async def _snapshots(self, channel: Channel, metadata: dict[str, str]) -> frozenset[str]:
        """Those of containers: an image's are committed ones."""
        found = []
        method = snapshots_grpc.SnapshotsStub(channel).List
        request = snapshots_pb2.ListSnapshotsRequest(snapshotter="overlayfs")
        async with method.open(metadata=metadata) as stream:
            await stream.send_message(request, end=True)
            async for answer in stream:
                found += [info.name for info in answer.info if info.kind != snapshots_pb2.COMMITTED]
        return frozenset(found)

    # ── the system's ────────────────────────────────────────────────────────────────────────────────────────────────

    def _system(self) -> Traces:
        node, place = self.containerd.node, self.containerd.place
        return {
            "network namespaces": _names(node.path("/run/netns")),
            "network interfaces": _interfaces(node),
            "mounts": frozenset(mount.target for mount in mountinfo.read(node.pid)),
            "addresses": _addresses(node.path("/var/lib/cni/networks")),
            "CNI results": _names(node.path("/var/lib/cni/results")),
            "packet filter rules": _rules(node),
            "cgroups": _groups(node),
            "directories": _directories(node, place),
            "FIFOs": frozenset(_fifos(node.path("/run"))),
            "processes": _processes(node.path("/proc")),
        }


def _names(directory: Path) -> frozenset[str]:
    return frozenset(os.listdir(directory)) if directory.is_dir() else frozenset()


def _interfaces(node: Node) -> frozenset[str]:
    with open(f"/proc/{node.pid}/net/dev", encoding="ascii") as file:
        names = {line.split(":")[0].strip() for line in file if ":" in line}
    return frozenset(names.difference(_LASTING_INTERFACES))


def _addresses(networks: Path) -> frozenset[str]:
    """host-local's reservations: a file named by the address in a directory named by the network."""
    if not networks.is_dir():
        return frozenset()
    return frozenset(
        f"{network}/{name}"
        for network in os.listdir(networks)
        for name in os.listdir(networks / network)
        if name != "lock" and not name.startswith("last_reserved_ip")
    )


def _rules(node: Node) -> frozenset[str]:
    """Rules that the CNI plugins made for a container: they name its id in a comment."""
    lines = node.run(["iptables-save"]).stdout.splitlines()
    return frozenset(line for line in lines if line.startswith("-A") and _ID.search(line))


def _groups(node: Node) -> frozenset[str]:
    """Cgroups of containers, in any hierarchy: by the id that their name has."""
    found = set()
    for group in node.groups:
        top = group.removesuffix("/init")
        for directory, _, _ in os.walk(top):
            if _ID.search(os.path.basename(directory)):
                found.add(os.path.relpath(directory, top))
    return frozenset(found)


def _directories(node: Node, place: Place) -> frozenset[str]:
    parents = [
        f"{base}/{below}"
        for base in (place.root, place.state)
        for below in (f"{_CRI}/sandboxes", f"{_CRI}/containers", f"{_CRI}/image-volumes", f"{_TASKS}/{NAMESPACE}")
    ]
    states = (name for name in _names(node.path(_RUNTIMES)) if _ID.fullmatch(name))  # crun keeps an empty one besides
    found = (f"{parent}/{name}" for parent in parents for name in _names(node.path(parent)))
    return frozenset((*found, *(f"{_RUNTIMES}/{name}" for name in states)))


def _fifos(top: Path) -> Iterable[str]:
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            try:
                if stat.S_ISFIFO(os.lstat(path).st_mode):
                    yield os.path.relpath(path, top.parent)
            except FileNotFoundError:
                continue


def _processes(proc: Path) -> frozenset[str]:
    """All but the first process, the kernel's and the daemons that the harness starts, as `pid command line`."""
    found = set()
    for name in os.listdir(proc):
        if not name.isdigit() or name == "1":
            continue
        try:
            if _KERNEL_THREAD in (proc / name / "status").read_text(errors="replace"):
                continue
            words = (proc / name / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        command = " ".join(words).strip()
        if os.path.basename(words[0]) not in _DAEMONS and _SHIM not in command:
            found.add(f"{name} {command or '(ended, not reaped)'}")
    return frozenset(found)
