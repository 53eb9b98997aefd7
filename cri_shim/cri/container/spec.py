"""A workload container's spec, from the parts of this node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.namespace_options import namespace_options
from cri_shim.cri.policy import policy_of
from cri_shim.cri.sandbox.files import shm_path
from cri_shim.errors import InvalidArgument, NotFound
from cri_shim.linux.host_view import LinuxHostView
from cri_shim.oci import cdi
from cri_shim.oci.container import ContainerSpecInput, PodFiles, container_spec, volume_mount
from cri_shim.oci.fields import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.config.settings import RuntimeHandler
    from cri_shim.cri.container.volumes import ImageVolume
    from cri_shim.cri.parts import Parts
    from cri_shim.oci.selinux import Labels
    from cri_shim.oci.spec import Spec
    from cri_shim.oci.users import Accounts
    from cri_shim.state.images import ImageRecord
    from cri_shim.state.metadata import ContainerMetadata
    from cri_shim.state.sandbox import Sandbox


async def workload_spec(
    parts: Parts,
    sandbox: Sandbox,
    metadata: ContainerMetadata,
    pod: cri.PodSandboxConfig,
    image: ImageRecord,
    handler: RuntimeHandler,
    accounts: Accounts,
    volumes: Sequence[ImageVolume],
    labels: Labels,
) -> Spec:
    """The spec. Raises InvalidArgument for a config that can't be met."""
    config = metadata.config
    devices = cdi.requested(config, enabled=parts.settings.runtime.enable_cdi)
    given = ContainerSpecInput(
        id=metadata.id,
        config=config,
        pod=pod,
        sandbox=sandbox.metadata.config,
        sandbox_id=sandbox.id,
        sandbox_pid=sandbox.status.pid,
        target_pid=target_pid(parts, sandbox, config),
        image=image.config,
        image_name=image.references[0],
        accounts=accounts,
        files=pod_files(parts, sandbox),
        volumes=[volume_mount(volume.host_path, volume.container_path) for volume in volumes],
        facts=parts.facts,
        policy=policy_of(parts, handler),
        cdi=await to_thread.run_sync(parts.cdi.edits, devices) if devices else (),
        labels=labels,
        host=LinuxHostView(in_user_namespace=parts.facts.in_user_namespace),
    )
    return await to_thread.run_sync(container_spec, given)


def target_pid(parts: Parts, sandbox: Sandbox, config: cri.ContainerConfig) -> int:
    """The process whose pid namespace is joined, for the pid mode TARGET: a running container's of the same pod."""
    options = namespace_options(config.linux)
    if options is None or options.pid != cri.NamespaceMode.TARGET:
        return 0
    field = f"{NAMESPACES}.target_id"
    try:
        target = parts.containers.find(options.target_id)
    except NotFound as error:
        raise error.because(field) from error
    if target.metadata.sandbox_id != sandbox.id or not target.running:
        raise InvalidArgument(f"{field} is {options.target_id!r}: it must be a running container of the same pod")
    return target.status.pid


def pod_files(parts: Parts, sandbox: Sandbox) -> PodFiles:
    """The pod's files that containers get; a pod of an older runtime may lack some."""
    root = parts.paths.sandbox_root(sandbox.id)
    found = {name: os.path.join(root, name) for name in ("hostname", "hosts", "resolv.conf")}
    there = {name: path if os.path.exists(path) else "" for name, path in found.items()}
    return PodFiles(there["hostname"], there["hosts"], there["resolv.conf"], shm_path(parts.paths, sandbox.metadata))
