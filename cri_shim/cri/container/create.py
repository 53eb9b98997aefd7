"""CreateContainer: a snapshot of the image, FIFOs, the OCI spec, and the record that holds them together.

Nothing is made outside containerd that the container's id doesn't lead back to: what a `kill -9` leaves between the
steps is swept at the next start by its id having no container. The snapshot is held by the sandbox's lease until the
record refers to it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from anyio import to_thread
from google.protobuf import any_pb2

from cri_shim.api.containerd.services.containers.v1 import containers_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.cri import remains
from cri_shim.cri.container.check import check_config
from cri_shim.cri.container.image_mounts import as_asked, mount_images
from cri_shim.cri.container.restore import apply_layer, ground, named, restore_log
from cri_shim.cri.container.spec import workload_spec
from cri_shim.cri.container.stop_signal import oci_name
from cri_shim.cri.container.volumes import image_volumes, populate
from cri_shim.cri.events import CREATED, container_event
from cri_shim.cri.handler import choose_handler
from cri_shim.cri.labels import container_labels
from cri_shim.cri.selinux import labels_of
from cri_shim.cri.snapshot import prepare_snapshot
from cri_shim.cri.user_namespace import own_users
from cri_shim.errors import InvalidArgument
from cri_shim.observe.containerd_names import CONTAINER_CREATE
from cri_shim.observe.timeline import Timeline, step
from cri_shim.oci import cdi
from cri_shim.oci.resources import resources_of
from cri_shim.oci.spec import SPEC_TYPE_URL, Process, to_json
from cri_shim.state import checkpoint
from cri_shim.state.container import Container, ContainerStatus
from cri_shim.state.ids import container_name, new_id
from cri_shim.state.metadata import CONTAINER_EXTENSION, KIND_CONTAINER, ContainerMetadata
from cri_shim.state.overlap import overlap
from cri_shim.state.undo import Undo
from cri_shim.stdio.container_io import ContainerIo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.cri.container.restore import Checkpoint
    from cri_shim.cri.container.volumes import ImageVolume
    from cri_shim.cri.parts import Parts
    from cri_shim.cri.snapshot import Snapshot
    from cri_shim.oci.spec import Spec
    from cri_shim.oci.users import Accounts
    from cri_shim.state.images import ImageRecord
    from cri_shim.state.sandbox import Sandbox


async def create_container(
    parts: Parts, request: cri.CreateContainerRequest, checkpoint: Checkpoint | None = None
) -> cri.CreateContainerResponse:
    """Create a container in a ready sandbox, to be restored from `checkpoint` or anew; the answer holds its id.

    The same request again, while the first is in flight or as long as the container has not been started, gets the
    same id. Raises InvalidArgument for a bad config, NotFound for an unknown sandbox or image, FailedPrecondition when
    the sandbox is not ready or the name is taken.
    """
    sandbox = parts.sandboxes.find(request.pod_sandbox_id)
    config, pod = request.config, request.sandbox_config
    if config is None or config.metadata is None:
        raise InvalidArgument("config.metadata is missing: a container needs at least a name")
    if pod is None or pod.metadata is None:
        raise InvalidArgument("sandbox_config.metadata is missing: send the config that the sandbox was run with")
    if config.image is None or not config.image.image:
        raise InvalidArgument("config.image.image is missing: name the image by tag, digest or id")
    check_config(config)
    cdi.requested(config, enabled=parts.settings.runtime.enable_cdi)
    name = container_name(config.metadata, pod.metadata)
    if (created := _answered_before(parts, name, sandbox, config)) is not None:
        return cri.CreateContainerResponse(container_id=created)
    sandbox.require_ready()
    found = checkpoint or named(parts, config.image.image)
    metadata = ContainerMetadata(
        id=new_id(),
        name=name,
        sandbox_id=sandbox.id,
        config=config,
        log_path=log_path(sandbox.metadata.config.log_directory, config.log_path),
    )

    async def create() -> str:
        async with ground(parts, found, metadata.id, config) as on:
            return await _Creation(parts, sandbox, pod, config, on.image, metadata, on.checkpoint).run()

    with CONTAINER_CREATE.success(sandbox.runtime.name):
        return cri.CreateContainerResponse(container_id=await parts.flights.join(f"container {name}", request, create))


def _answered_before(parts: Parts, name: str, sandbox: Sandbox, config: cri.ContainerConfig) -> str | None:
    """The container that an earlier call with this very request made, its answer having been lost.

    Names don't tell the attempts of a pod apart: a container of the sandbox before this one may have the same.
    """
    container = parts.containers.get(parts.container_names.owner(name) or "")
    if container is None or container.removing:
        return None
    metadata, created = container.metadata, cri.ContainerState.CONTAINER_CREATED
    same = (metadata.sandbox_id, container.status.state) == (sandbox.id, created)
    return container.id if same and as_asked(metadata.config) == as_asked(config) else None


def log_path(directory: str, path: str) -> str:
    """The full path of a container's log; "" where either part is missing: then the output is discarded.

    Raises InvalidArgument for a path that leads out of the pod's log directory: what is written there is written as
    root.
    """
    if not directory or not path:
        return ""
    if not os.path.isabs(directory):
        raise InvalidArgument(f"the sandbox's log_directory {directory!r} is not absolute")
    full = os.path.normpath(os.path.join(directory, path))
    if os.path.isabs(path) or not full.startswith(os.path.normpath(directory).rstrip("/") + "/"):
        raise InvalidArgument(
            f"config.log_path {path!r} leads out of the pod's log directory {directory!r}: give a path below it"
        )
    return full


@dataclass(eq=False)
class _Creation:
    """One CreateContainer under way: the state that its steps share."""

    parts: Parts
    sandbox: Sandbox
    pod: cri.PodSandboxConfig
    config: cri.ContainerConfig
    image: ImageRecord
    metadata: ContainerMetadata
    checkpoint: str = ""  # where the one is unpacked that it is to be restored from
    timeline: Timeline = field(default_factory=lambda: Timeline("CreateContainer"))

    @property
    def id(self) -> str:
        return self.metadata.id

    async def run(self) -> str:
        with self.timeline.recording():
            seconds = self.parts.settings.containerd.cleanup_timeout
            async with Undo(f"CreateContainer {self.metadata.name}", seconds=seconds) as undo:
                await self._run(undo)
        return self.id

    async def _run(self, undo: Undo) -> None:
        self._reserve(undo)
        parts, runtime = self.parts, self.sandbox.runtime
        undo.push("directories", lambda: remains.remove_container_files(parts, self.id))
        undo.push("snapshot", lambda: remains.remove_snapshot(parts, runtime.snapshotter, self.id, self.sandbox.id))
        undo.push("container record", lambda: remains.remove_container(parts, self.id))
        self.config = await mount_images(parts, self.sandbox, self.config)
        self.metadata = replace(self.metadata, config=self.config)
        volumes = image_volumes(parts, self.id, self.config, self.image.config)
        accounts = parts.accounts.known(runtime.snapshotter, self.image.chain_id)
        prepared = accounts is None or bool(volumes or self.checkpoint)  # the root file system is worked on first
        if accounts is None or volumes or self.checkpoint:
            snapshot = await self._prepare_snapshot()
            with step("root file system"):
                accounts = await parts.accounts.of(runtime.snapshotter, self.image.chain_id, snapshot.mounts)
                if self.checkpoint:  # after the accounts, which are kept for all containers of the image
                    await apply_layer(parts, self.checkpoint, self.id, snapshot.mounts, self.sandbox.id)
                await to_thread.run_sync(populate, volumes, snapshot, parts.paths)
        spec = await self._spec(accounts, volumes)
        self.metadata = self._completed_metadata()
        status = ContainerStatus(created_at=time.time_ns(), resources=resources_of(spec))
        with step("record, files"):
            io, _, _ = await overlap(
                to_thread.run_sync(self._make_files, status),
                parts.containerd.containers.create(self._record(spec)),
                _nothing() if prepared else self._prepare_snapshot(),
            )
        if self.checkpoint:
            await self._restore_log(undo)
        self.sandbox.require_ready()  # it may have been stopped meanwhile, unaware of us
        self._publish(spec, status, io)

    async def _prepare_snapshot(self) -> Snapshot:
        with step("snapshot", lane="snapshot"):
            snapshotter, users = self.sandbox.runtime.snapshotter, own_users(self.config.linux)
            return await prepare_snapshot(self.parts, self.image, snapshotter, self.id, users, lease=self.sandbox.id)

    async def _restore_log(self, undo: Undo) -> None:
        path = self.metadata.log_path
        if await to_thread.run_sync(restore_log, self.checkpoint, path):
            undo.push("log", lambda: to_thread.run_sync(os.unlink, path))

    async def _spec(self, accounts: Accounts, volumes: Sequence[ImageVolume]) -> Spec:
        parts, sandbox = self.parts, self.sandbox
        handler = choose_handler(parts.settings, sandbox.metadata.config, sandbox.metadata.runtime_handler)
        with step("OCI spec"):
            linux, label = self.config.linux, sandbox.metadata.process_label
            labels = labels_of(parts, self.id, linux.security_context if linux is not None else None, handler, label)
            self.metadata = replace(self.metadata, process_label=labels.process)
            return await workload_spec(
                parts, sandbox, self.metadata, self.pod, self.image, handler, accounts, volumes, labels
            )

    def _publish(self, spec: Spec, status: ContainerStatus, io: ContainerIo) -> None:
        container = Container(
            metadata=self.metadata,
            status=status,
            runtime=self.sandbox.runtime,
            process=spec.process or Process(),
            mount_label=spec.linux.mount_label if spec.linux else "",
            io=io,
            restore_from=self.checkpoint,
            timeline=self.timeline,
        )
        self.parts.containers.add(container)
        container_event(self.parts, container, CREATED)

    def _reserve(self, undo: Undo) -> None:
        self.parts.container_names.reserve(self.metadata.name, self.id)

        async def release() -> None:
            self.parts.container_names.release(self.id)
            self.parts.selinux_levels.release(self.id)

        undo.push("name, level", release)

    def _make_files(self, status: ContainerStatus) -> ContainerIo:
        """Make the container's directories, checkpoint and FIFOs. Blocks."""
        root = self.parts.paths.container_root(self.id)
        checkpoint.write(root, status)
        state = self.parts.paths.container_state(self.id)
        os.makedirs(state, 0o755, exist_ok=True)
        return ContainerIo.create(state, self.id, stdin=self.config.stdin, terminal=self.config.tty)

    def _completed_metadata(self) -> ContainerMetadata:
        return replace(
            self.metadata,
            image_ref=self.image.id,
            stop_signal=oci_name(self.config.stop_signal) or self.image.config.process.stop_signal,
        )

    def _record(self, spec: Spec) -> containers_pb2.Container:
        runtime = self.sandbox.runtime
        return containers_pb2.Container(
            id=self.id,
            image=self.image.references[0],
            runtime=containers_pb2.Container.Runtime(name=runtime.name, options=runtime.options),
            spec=any_pb2.Any(type_url=SPEC_TYPE_URL, value=to_json(spec)),
            snapshotter=runtime.snapshotter,
            snapshot_key=self.id,
            labels=container_labels(self.config.labels, self.image.config.process.labels or {}, KIND_CONTAINER),
            extensions={CONTAINER_EXTENSION: self.metadata.to_any()},
            sandbox=self.sandbox.id,
        )


async def _nothing() -> None:
    """What is left to do of something that is done."""
