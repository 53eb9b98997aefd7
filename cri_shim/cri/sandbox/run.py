"""RunPodSandbox: a pod's network and its sandbox container, made at the same time.

    reserve the name                     a retried call joins the one in flight
    write ahead                          record (it names the network namespace before that exists) and lease
    ┌ network    namespace, loopback, CNI ADD
    └ container  snapshot, record, files at once; task create (needs the namespace, not its addresses)
    start                                when both are there; both records are made whole at the same time

Each step that makes something pushes its undo. After a `kill -9` the record, marked as being created, tells recovery
what to undo.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from google.protobuf import any_pb2

from cri_shim.api.containerd.services.containers.v1 import containers_pb2
from cri_shim.api.containerd.types import mount_pb2, sandbox_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import attachment
from cri_shim.cri import remains
from cri_shim.cri.events import CREATED, STARTED, sandbox_event
from cri_shim.cri.handler import choose_handler, runtime_choice
from cri_shim.cri.image.ensure import ensure_sandbox_image
from cri_shim.cri.labels import container_labels
from cri_shim.cri.namespace_options import namespace_options
from cri_shim.cri.policy import policy_of
from cri_shim.cri.sandbox.check import check_pod
from cri_shim.cri.sandbox.exit import watch_sandbox
from cri_shim.cri.sandbox.files import make_files
from cri_shim.cri.sandbox.spec import pause_spec
from cri_shim.cri.selinux import labels_of, with_context
from cri_shim.cri.snapshot import prepare_snapshot, snapshot_labels
from cri_shim.cri.user_namespace import id_mappings, own_users, pinned_path
from cri_shim.errors import CriError, InvalidArgument
from cri_shim.linux import netns, userns
from cri_shim.linux.host_view import LinuxHostView
from cri_shim.observe.containerd_names import (
    SANDBOX_CREATE_NETWORK,
    SANDBOX_RUNTIME_CREATE,
    SET_UP_POD,
    network_operation,
)
from cri_shim.observe.timeline import Timeline, step
from cri_shim.oci.spec import SPEC_TYPE_URL, to_json
from cri_shim.state.ids import new_id, sandbox_name
from cri_shim.state.metadata import (
    CREATING_LABEL,
    KIND_SANDBOX,
    SANDBOX_EXTENSION,
    SANDBOXER,
    STORE_EXTENSION,
    SandboxMetadata,
)
from cri_shim.state.overlap import overlap
from cri_shim.state.sandbox import RuntimeChoice, Sandbox, SandboxState, SandboxStatus
from cri_shim.state.undo import Undo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.cni import CniResult
    from cri_shim.config.settings import RuntimeHandler
    from cri_shim.cri.parts import Parts
    from cri_shim.oci.spec import Spec
    from cri_shim.state.images import ImageRecord

NETNS_DIRECTORY = "/var/run/netns"


async def run_pod_sandbox(parts: Parts, request: cri.RunPodSandboxRequest) -> cri.RunPodSandboxResponse:
    """Create and start a pod sandbox; the answer holds its id.

    The same request again, while the first is in flight or after it has succeeded, gets the same id.
    Raises InvalidArgument for a config without metadata or an unknown handler, FailedPrecondition when the name is
    taken by another sandbox, and what containerd and CNI report.
    """
    config = request.config
    if config is None or config.metadata is None:
        raise InvalidArgument("config.metadata is missing: a sandbox needs at least a name, a namespace and a uid")
    name = sandbox_name(config.metadata)
    handler = choose_handler(parts.settings, config, request.runtime_handler)
    if (running := _answered_before(parts, name, request)) is not None:
        return cri.RunPodSandboxResponse(pod_sandbox_id=running)
    policy = policy_of(parts, handler)
    host = LinuxHostView(in_user_namespace=parts.facts.in_user_namespace)
    await to_thread.run_sync(check_pod, config, policy, parts.facts, host)
    start = _Start(
        parts=parts,
        metadata=SandboxMetadata(
            id=new_id(),
            name=name,
            config=config,
            netns_path=_netns_path(parts, config),
            runtime_handler=request.runtime_handler,
        ),
        handler=handler,
        runtime=runtime_choice(parts.settings, handler),
    )
    return cri.RunPodSandboxResponse(pod_sandbox_id=await parts.flights.join(f"sandbox {name}", request, start.run))


def _answered_before(parts: Parts, name: str, request: cri.RunPodSandboxRequest) -> str | None:
    """The sandbox that an earlier call with this very request made, its answer having been lost."""
    sandbox = parts.sandboxes.get(parts.sandbox_names.owner(name) or "")
    if sandbox is None or sandbox.closing or sandbox.status.state is not SandboxState.READY:
        return None
    metadata = sandbox.metadata
    same = metadata.config == request.config and metadata.runtime_handler == request.runtime_handler
    return sandbox.id if same else None


def _netns_path(parts: Parts, config: cri.PodSandboxConfig) -> str:
    if uses_host_network(config):
        return ""
    if parts.settings.runtime.netns_mounts_under_state_dir:
        return netns.new_path(os.path.join(parts.paths.state, "netns"))
    return netns.new_path(NETNS_DIRECTORY)


def uses_host_network(config: cri.PodSandboxConfig) -> bool:
    """Whether the pod shares the node's network."""
    options = namespace_options(config.linux)
    return options is not None and options.network == cri.NamespaceMode.NODE


@dataclass(eq=False)
class _Start:
    """One RunPodSandbox under way: the state that its steps share."""

    parts: Parts
    metadata: SandboxMetadata
    handler: RuntimeHandler
    runtime: RuntimeChoice
    netns_made: anyio.Event = field(default_factory=anyio.Event)
    creating: float = 0.0  # since when the runtime is at it
    record: containers_pb2.Container = field(default_factory=containers_pb2.Container)
    timeline: Timeline = field(default_factory=lambda: Timeline("RunPodSandbox"))

    @property
    def id(self) -> str:
        return self.metadata.id

    async def run(self) -> str:
        undo = Undo(f"RunPodSandbox {self.metadata.name}", seconds=self.parts.settings.containerd.cleanup_timeout)
        try:
            with self.timeline.recording():
                async with undo:
                    await self._run(undo)
        except BaseException:
            if undo.left:
                self._keep_for_removal()
            raise
        return self.id

    async def _run(self, undo: Undo) -> None:
        self._reserve(undo)
        await self._write_ahead(undo)
        result, _ = await overlap(self._network(undo), self._container(undo))
        if result is not None:
            ip, additional = result.pod_ips(self.parts.settings.runtime.cni.ip_pref)
            self.metadata = replace(self.metadata, ip=ip, additional_ips=tuple(additional), cni_result=result)
        pid, _, _ = await overlap(self._start_task(), self._complete_container(), self._complete_record())
        self._publish(pid)

    def _reserve(self, undo: Undo) -> None:
        self.parts.sandbox_names.reserve(self.metadata.name, self.id)

        async def release() -> None:
            self.parts.sandbox_names.release(self.id)
            self.parts.selinux_levels.release(self.id)

        undo.push("name, level", release, unless_left=True)

    async def _write_ahead(self, undo: Undo) -> None:
        """Make the sandbox record durable, from where on recovery knows what to look for, and the pod's lease."""
        containerd = self.parts.containerd
        undo.push("sandbox record", lambda: remains.remove_record(self.parts, self.id), unless_left=True)
        undo.push("lease", lambda: remains.remove_lease(self.parts, self.id), unless_left=True)
        with step("write ahead", lane="record"):
            await overlap(
                containerd.sandboxes.create(self._sandbox_record({CREATING_LABEL: "true"})),
                containerd.leases.create(self.id),
            )

    def _sandbox_record(self, labels: Mapping[str, str]) -> sandbox_pb2.Sandbox:
        """The record, whole also for an update: containerd 2.1 crashes on one without a runtime."""
        return sandbox_pb2.Sandbox(
            sandbox_id=self.id,
            runtime=sandbox_pb2.Sandbox.Runtime(name=self.runtime.name, options=self.runtime.options),
            sandboxer=SANDBOXER,
            labels={"name": self.metadata.name, **labels},
            extensions={STORE_EXTENSION: self.metadata.to_any()},
        )

    async def _network(self, undo: Undo) -> CniResult | None:
        """Make the pod's network; None for a pod on the node's."""
        path = self.metadata.netns_path
        if not path:
            self.netns_made.set()
            return None
        undo.push("network namespace", lambda: netns.remove(path))
        with step("network namespace", lane="network"):
            await self._make_namespaces(path, undo)
        self.netns_made.set()
        network = self.parts.network(self.metadata.runtime_handler)
        attach = attachment(self.metadata.config, self.id, path)
        undo.push("network", lambda: network.delete(attach, result_known=False))
        with step("CNI ADD", lane="network"):
            try:
                with network_operation(SET_UP_POD), SANDBOX_CREATE_NETWORK.success():
                    return await network.add(attach)
            except CriError as error:
                raise error.because(f'failed to setup network for sandbox "{self.id}"') from error

    async def _make_namespaces(self, path: str, undo: Undo) -> None:
        """Make the network namespace and, for a pod with users of its own, the user namespace that owns it."""
        users = own_users(self.metadata.config.linux)
        if users is None:
            await netns.create(path)
            return
        undo.push("user namespace", lambda: remains.remove_sandbox_files(self.parts, self.id))
        pinned = pinned_path(self.parts.paths, self.id)
        await userns.create(pinned, path, id_mappings(users.uids), id_mappings(users.gids))

    async def _container(self, undo: Undo) -> None:
        """Make the sandbox container up to its created, not yet started, task."""
        parts = self.parts
        with step("image", lane="container"):
            image = await ensure_sandbox_image(parts, self.metadata.config)
        linux = self.metadata.config.linux
        labels = labels_of(parts, self.id, linux.security_context if linux is not None else None, self.handler)
        self.metadata = replace(self.metadata, process_label=labels.process)
        spec = pause_spec(parts, self.metadata, image, self.handler, labels)
        undo.push("snapshot", lambda: remains.remove_snapshot(parts, self.runtime.snapshotter, self.id))
        undo.push("container record", lambda: remains.remove_container(parts, self.id))
        undo.push("files", lambda: remains.remove_sandbox_files(parts, self.id))
        snapshotter, asked = self.runtime.snapshotter, snapshot_labels(self.metadata.config.annotations)
        with step("snapshot, record, files", lane="container"):
            snapshot, self.record, _ = await overlap(
                prepare_snapshot(parts, image, snapshotter, self.id, own_users(linux), asked, lease=self.id),
                parts.containerd.containers.create(self._container_record(image, spec)),
                to_thread.run_sync(make_files, parts.paths, self.metadata, parts.facts.hostname),
            )
        await self.netns_made.wait()
        await self._create_task(undo, with_context(snapshot.mounts, labels.mount))

    def _container_record(self, image: ImageRecord, spec: Spec) -> containers_pb2.Container:
        labels = container_labels(self.metadata.config.labels, image.config.process.labels or {}, KIND_SANDBOX)
        return containers_pb2.Container(
            id=self.id,
            image=self.parts.settings.images.pinned_images["sandbox"],
            runtime=containers_pb2.Container.Runtime(name=self.runtime.name, options=self.runtime.options),
            spec=any_pb2.Any(type_url=SPEC_TYPE_URL, value=to_json(spec)),
            snapshotter=self.runtime.snapshotter,
            snapshot_key=self.id,
            labels=labels,
            extensions={SANDBOX_EXTENSION: self.metadata.to_any()},
        )

    async def _create_task(self, undo: Undo, mounts: Sequence[mount_pb2.Mount]) -> None:
        self.creating = time.perf_counter()
        undo.push("task", lambda: remains.remove_task(self.parts, self.id))
        with step("task create (shim, runtime)", lane="container"):
            try:
                await self.parts.containerd.tasks.create(self.id, rootfs=mounts, runtime_path=self.runtime.path)
            except CriError as error:
                raise error.because(f'failed to start sandbox "{self.id}": failed to create containerd task') from error

    async def _start_task(self) -> int:
        with step("task start", lane="container"):
            pid = await self.parts.containerd.tasks.start(self.id)
        SANDBOX_RUNTIME_CREATE.observe(time.perf_counter() - self.creating, self.runtime.name)
        return pid

    async def _complete_container(self) -> None:
        """Put the addresses into the pause container's record, where a returning plugin looks for them."""
        record = containers_pb2.Container()
        record.CopyFrom(self.record)
        record.extensions[SANDBOX_EXTENSION].CopyFrom(self.metadata.to_any())
        with step("container record complete", lane="record"):
            await self.parts.containerd.containers.update(record, "extensions")

    async def _complete_record(self) -> None:
        """Put the addresses into the sandbox record and take the mark of being created off it."""
        with step("sandbox record complete", lane="network"):
            await self.parts.containerd.sandboxes.update(self._sandbox_record({}), "extensions", "labels")

    def _publish(self, pid: int) -> None:
        """Make the running sandbox visible; from here on it outlives us."""
        created = self.record.created_at.ToNanoseconds()
        sandbox = Sandbox(
            metadata=self.metadata,
            status=SandboxStatus(state=SandboxState.READY, created_at=created, pid=pid),
            runtime=self.runtime,
            timeline=self.timeline,
        )
        self.parts.sandboxes.add(sandbox)
        sandbox_event(self.parts, sandbox, CREATED)
        sandbox_event(self.parts, sandbox, STARTED)
        watch_sandbox(self.parts, sandbox)

    def _keep_for_removal(self) -> None:
        """Show a sandbox that could not be undone as NOTREADY, so that a Stop and Remove finish the work."""
        status = SandboxStatus(state=SandboxState.UNKNOWN, created_at=self.record.created_at.ToNanoseconds())
        self.parts.sandboxes.add(Sandbox(metadata=self.metadata, status=status, runtime=self.runtime))
