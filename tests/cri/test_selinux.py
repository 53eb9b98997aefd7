"""The labels of a pod and its containers, and the levels that they hold between them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from cri_shim.api.containerd.types import mount_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.config.settings import RuntimeHandler
from cri_shim.cri.selinux import hold_again, labels_of, with_context
from cri_shim.errors import ResourceExhausted
from cri_shim.oci.selinux import NO_LABELS, Contexts, Label
from cri_shim.state.selinux_levels import SelinuxLevels

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

CONTEXTS = Contexts(Label("u", "r", "container_t", "s0"), Label("u", "object_r", "file_t", "s0"), "kvm_t")
RUNC = RuntimeHandler(runtime_type="io.containerd.runc.v2")
KATA = RuntimeHandler(runtime_type="io.containerd.kata-qemu.v2")
ONLY = "s0:c0,c1"


def node(contexts: Contexts | None = CONTEXTS) -> Parts:
    """A node with two categories, which make one level."""
    return cast("Parts", SimpleNamespace(selinux=contexts, selinux_levels=SelinuxLevels(2)))


def test_without_selinux_there_are_none_and_nothing_is_held() -> None:
    parts = node(None)
    context = cri.LinuxSandboxSecurityContext(selinux_options=cri.SeLinuxOption(level=ONLY))
    assert labels_of(parts, "pod", context, RUNC) == NO_LABELS
    hold_again(parts, "pod", f"u:r:t:{ONLY}")
    assert parts.selinux_levels.new() == ONLY


def test_a_pods_level_is_its_containers_and_free_when_the_last_of_them_is_gone() -> None:
    parts = node()
    pod = labels_of(parts, "pod", None, RUNC)
    container = labels_of(parts, "container", cri.LinuxContainerSecurityContext(), RUNC, pod.process)
    assert container == pod
    assert pod.run == f"u:r:container_t:{ONLY}"
    for owner in ("pod", "container"):
        with pytest.raises(ResourceExhausted):
            labels_of(parts, "other", None, RUNC)
        parts.selinux_levels.release(owner)
    assert labels_of(parts, "other", None, RUNC) == pod


def test_what_a_record_names_is_held_after_a_restart() -> None:
    parts = node()
    hold_again(parts, "pod", f"u:r:container_t:{ONLY}")
    with pytest.raises(ResourceExhausted):
        labels_of(parts, "other", None, RUNC)


def test_a_privileged_container_runs_without_a_label_and_a_virtual_machine_with_its_own() -> None:
    privileged = cri.LinuxContainerSecurityContext(privileged=True)
    assert labels_of(node(), "container", privileged, RUNC).run == ""
    assert labels_of(node(), "pod", None, KATA).run == f"u:r:kvm_t:{ONLY}"


def test_every_mount_of_a_root_file_system_gets_the_label() -> None:
    def mounts() -> list[mount_pb2.Mount]:
        return [mount_pb2.Mount(type="overlay", options=["index=off"]), mount_pb2.Mount(type="bind")]

    assert with_context(mounts(), "") == mounts()
    option = 'context="u:object_r:file_t:s0:c0,c1"'
    labelled = with_context(mounts(), f"u:object_r:file_t:{ONLY}")
    assert [list(mount.options) for mount in labelled] == [["index=off", option], [option]]
