"""Both endpoints of a node, asked for the same at the same time, and what each made of it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from google.protobuf import json_format
from grpclib import GRPCError
from grpclib.client import Channel

from cri_shim.api.containerd.services.containers.v1 import containers_grpc, containers_pb2
from cri_shim.api.containerd.services.sandbox.v1 import sandbox_grpc, sandbox_pb2
from cri_shim.api.containerd.services.snapshots.v1 import snapshots_grpc, snapshots_pb2
from cri_shim.api.runtime import v1 as cri
from integration.differential.case import RUNNING
from integration.differential.comparison import comparable
from integration.harness.containerd import NAMESPACE
from integration.kubelet import Kubelet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from pathlib import Path

    from google.protobuf import any_pb2

    from integration.differential.case import Case, Pod
    from integration.harness.assembly import RunningNode
    from integration.kubelet import Pod as RunningPod

Found: TypeAlias = dict[str, Any]  # by what it is: a spec, a record, a status; JSON values
CONTAINERS_AT_ONCE = 4
_METADATA = {"containerd-namespace": NAMESPACE}


@dataclass(frozen=True)
class Refused(Exception):
    """An endpoint's no."""

    status: str
    message: str

    def found(self) -> Found:
        return {"refused": self.status, "message": self.message}


@dataclass
class Side:
    """One endpoint, and the containerd under it."""

    kubelet: Kubelet
    containers: containers_grpc.ContainersStub
    snapshots: snapshots_grpc.SnapshotsStub
    sandboxes: sandbox_grpc.StoreStub
    turn: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(CONTAINERS_AT_ONCE))

    async def pod(self, wanted: Pod, config: cri.PodSandboxConfig) -> tuple[RunningPod, Found]:
        """Run a pod. Raises Refused."""
        try:
            made = await self.kubelet.run_pod(config, handler=wanted.handler)
        except GRPCError as error:
            raise Refused(error.status.name, error.message or "") from error
        record = await self.sandboxes.Get(sandbox_pb2.StoreGetRequest(sandbox_id=made.id), metadata=_METADATA)
        status = await self.kubelet.pod_status(made, verbose=True)
        stored = await self._stored(made.id)
        found = {
            **{f"pause {key}": value for key, value in stored.items()},
            "sandbox record": _message(record.sandbox),
            "pod status": status.to_dict() | {"info": _opened(status.info, stored["spec"]["value"])},
        }
        return made, comparable(found, {made.id: "<pod>"})

    async def container(
        self, pod: RunningPod, config: cri.ContainerConfig, update: cri.LinuxContainerResources | None
    ) -> Found:
        """Create a container, and update it. Raises Refused."""
        try:
            made = await self.kubelet.create(pod, config)
            if update is not None:
                wanted = cri.UpdateContainerResourcesRequest(container_id=made, linux=update)
                await self.kubelet.runtime.update_container_resources(wanted)
        except GRPCError as error:
            raise Refused(error.status.name, error.message or "") from error
        request = cri.ContainerStatusRequest(container_id=made, verbose=True)
        status = await self.kubelet.runtime.container_status(request)
        found = await self._stored(made)
        found["status"] = status.to_dict() | {"info": _opened(status.info, found["spec"]["value"])}
        names = {pod.id: "<pod>", made: "<container>", _target(config): "<target>"}
        return comparable(found, names)

    async def _stored(self, container_id: str) -> Found:
        request = containers_pb2.GetContainerRequest(id=container_id)
        record = (await self.containers.Get(request, metadata=_METADATA)).container
        stat = snapshots_pb2.StatSnapshotRequest(snapshotter=record.snapshotter, key=record.snapshot_key)
        snapshot = (await self.snapshots.Stat(stat, metadata=_METADATA)).info
        stored = _message(record)
        return {"spec": stored.pop("spec"), "record": stored, "snapshot": _message(snapshot)}


def _target(config: cri.ContainerConfig) -> str:
    """The container whose pids are shared; "" for none."""
    context = config.linux.security_context if config.linux else None
    return context.namespace_options.target_id if context and context.namespace_options else ""


def _message(message: Any) -> Any:
    """A message of containerd's as JSON, with what it carries opened."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        return _carried(message)
    found = {}
    for one, value in message.ListFields():
        if one.message_type and one.message_type.GetOptions().map_entry:
            found[one.name] = {key: _value(item) for key, item in value.items()}
        else:
            found[one.name] = _value(value)
    return found


def _value(value: Any) -> Any:
    if not hasattr(value, "DESCRIPTOR"):
        return value
    if value.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        return json_format.MessageToDict(value)
    return _message(value)


def _carried(carrier: any_pb2.Any) -> Any:
    try:
        value = json.loads(carrier.value)
    except ValueError:
        value = carrier.value.hex()
    return {"type": carrier.type_url, "value": value}


def _opened(info: Mapping[str, str], spec: Any) -> Any:
    """The verbose part of a status, without a spec that is just the stored one."""
    opened = {key: json.loads(value) for key, value in info.items()}
    if opened["info"].get("runtimeSpec") == spec:
        del opened["info"]["runtimeSpec"]
    return opened


@asynccontextmanager
async def sides(running: RunningNode) -> AsyncIterator[tuple[Side, Side]]:
    """Our side and containerd's."""
    assert running.shim
    assert running.peer
    async with (
        _side(running.shim.socket, running.containerd.socket, running) as ours,
        _side(running.peer.socket, running.peer.socket, running) as theirs,
    ):
        yield ours, theirs


@asynccontextmanager
async def _side(endpoint: Path, containerd: Path, running: RunningNode) -> AsyncIterator[Side]:
    channel, below = Channel(path=str(endpoint)), Channel(path=str(containerd))
    kubelet = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(running.node.root))
    try:
        yield Side(
            kubelet,
            containers_grpc.ContainersStub(below),
            snapshots_grpc.SnapshotsStub(below),
            sandbox_grpc.StoreStub(below),
        )
    finally:
        channel.close()
        below.close()


async def ask(sides: Sequence[Side], pod: Pod, cases: Iterable[Case]) -> dict[Case, list[Found]]:
    """What each side made of each case, all of the one pod; at the end nothing is left of it."""
    config = _pod_config(sides[0].kubelet, pod)
    answers = {case: [Found() for _ in sides] for case in cases}

    async def of(place: int, side: Side) -> None:
        for case, found in (await _answers(side, pod, config, list(answers))).items():
            answers[case][place] = found

    async with anyio.create_task_group() as tasks:
        for place, side in enumerate(sides):
            tasks.start_soon(of, place, side)
    return answers


def _pod_config(kubelet: Kubelet, pod: Pod) -> cri.PodSandboxConfig:
    config = kubelet.pod_config(host_network=pod.on_node_network, linux=pod.linux)
    for name, value in pod.fields.items():
        setattr(config, name, value)
    return config


async def _answers(side: Side, pod: Pod, config: cri.PodSandboxConfig, cases: Sequence[Case]) -> dict[Case, Found]:
    try:
        made, found = await side.pod(pod, config)
    except Refused as refused:
        return {case: {"pod": {}, **refused.found()} for case in cases}
    answers = {}

    async def of(place: int, case: Case) -> None:
        async with side.turn:
            try:
                config = await _container_config(side, made, place, case)
                answers[case] = found | await side.container(made, config, case.update)
            except Refused as refused:
                answers[case] = refused.found()

    async with anyio.create_task_group() as tasks:
        for place, case in enumerate(cases):
            tasks.start_soon(of, place, case)
    await side.kubelet.stop_pod(made)
    await side.kubelet.remove_pod(made)
    return answers


async def _container_config(side: Side, pod: RunningPod, place: int, case: Case) -> cri.ContainerConfig:
    config = side.kubelet.container_config(name=f"c{place}")
    for name, value in case.container.items():
        setattr(config, name, value)
    if _target(config) == RUNNING:
        target = await side.kubelet.run(pod, side.kubelet.container_config(name="target"))
        options = cri.NamespaceOption(pid=cri.NamespaceMode.TARGET, target_id=target)
        context = cri.LinuxContainerSecurityContext(namespace_options=options)
        config.linux = cri.LinuxContainerConfig(security_context=context)
    return config
