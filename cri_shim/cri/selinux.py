"""The SELinux labels of a sandbox or a container, and the level that it holds until it is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.oci.selinux import NO_LABELS, context_option, make_labels, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.containerd.types import mount_pb2
    from cri_shim.api.runtime import v1 as cri
    from cri_shim.config.settings import RuntimeHandler
    from cri_shim.cri.parts import Parts
    from cri_shim.oci.selinux import Labels

_IN_VM = "io.containerd.kata"


def labels_of(
    parts: Parts,
    owner: str,
    context: cri.LinuxSandboxSecurityContext | cri.LinuxContainerSecurityContext | None,
    handler: RuntimeHandler,
    sandbox_label: str = "",
) -> Labels:
    """The labels of the object with id `owner`, none without SELinux; it holds their level from now on.

    Source: containerd `internal/cri/server/container_create.go`, `podsandbox/sandbox_run.go`. Raises DataLoss for a
    sandbox's label that is none, ResourceExhausted when all levels are held.
    """
    if parts.selinux is None:
        return NO_LABELS
    labels = make_labels(
        wanted(context.selinux_options if context is not None else None, sandbox_label),
        parts.selinux,
        parts.selinux_levels.new,
        privileged=context is not None and context.privileged,
        in_vm=_IN_VM in handler.runtime_type,
    )
    parts.selinux_levels.hold(owner, labels.process)
    return labels


def hold_again(parts: Parts, owner: str, label: str) -> None:
    """Have a recovered object hold the level that its record names.

    Source: containerd `internal/cri/store/label`.
    """
    if parts.selinux is not None:
        parts.selinux_levels.hold(owner, label)


def with_context(mounts: Sequence[mount_pb2.Mount], mount_label: str) -> Sequence[mount_pb2.Mount]:
    """The mounts of a root file system, changed so that all their files have the label, if there is one.

    Source: containerd `client/container.go` (`NewTask`).
    """
    if mount_label:
        for mount in mounts:
            mount.options.append(context_option(mount_label))
    return mounts
