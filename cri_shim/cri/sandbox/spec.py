"""The pause container's spec, from the parts of this node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cri_shim.cri.policy import policy_of
from cri_shim.cri.sandbox.files import shm_path
from cri_shim.cri.user_namespace import pinned_path
from cri_shim.linux.host_view import LinuxHostView
from cri_shim.oci.sandbox import SandboxSpecInput, sandbox_spec

if TYPE_CHECKING:
    from cri_shim.config.settings import RuntimeHandler
    from cri_shim.cri.parts import Parts
    from cri_shim.oci.selinux import Labels
    from cri_shim.oci.spec import Spec
    from cri_shim.state.images import ImageRecord
    from cri_shim.state.metadata import SandboxMetadata


def pause_spec(
    parts: Parts, metadata: SandboxMetadata, image: ImageRecord, handler: RuntimeHandler, labels: Labels
) -> Spec:
    """The spec; reads a Localhost seccomp profile, so it may block: call it in a thread when there may be one."""
    return sandbox_spec(
        SandboxSpecInput(
            id=metadata.id,
            config=metadata.config,
            image=image.config,
            image_name=parts.settings.images.pinned_images["sandbox"],
            netns_path=metadata.netns_path,
            userns_path=pinned_path(parts.paths, metadata.id) if metadata.netns_path else "",
            shm_path=shm_path(parts.paths, metadata),
            resolv_conf_path=os.path.join(parts.paths.sandbox_root(metadata.id), "resolv.conf"),
            facts=parts.facts,
            policy=policy_of(parts, handler),
            labels=labels,
            host=LinuxHostView(in_user_namespace=parts.facts.in_user_namespace),
        )
    )
