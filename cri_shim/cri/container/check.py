"""What a ContainerConfig must be in itself, looked at before anything is made.

What depends on the image, the sandbox or the node is looked at where the spec is put together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.cri.container.image_mounts import check_image_mounts
from cri_shim.cri.container.stop_signal import oci_name
from cri_shim.cri.labels import check_labels
from cri_shim.errors import InvalidArgument
from cri_shim.oci import bind_mount, checks, devices, namespaces, selinux
from cri_shim.oci.fields import CONTEXT
from cri_shim.oci.resource_checks import check_resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.api.runtime import v1 as cri


def check_config(config: cri.ContainerConfig) -> None:
    """Raise InvalidArgument for a config that nothing could be made of."""
    for name in ("command", "args"):
        for index, value in enumerate(getattr(config, name)):
            checks.no_nul(f"config.{name}[{index}]", value)
    checks.absolute("config.working_dir", config.working_dir)
    checks.no_nul("config.log_path", config.log_path)
    _check_envs(config.envs)
    check_labels(config.labels)
    for index, mount in enumerate(config.mounts):
        bind_mount.check_fields(f"config.mounts[{index}]", mount)
    check_image_mounts(config.mounts)
    for index, device in enumerate(config.devices):
        devices.check_fields(f"config.devices[{index}]", device)
    oci_name(config.stop_signal)
    if config.linux is not None and config.linux.resources is not None:
        check_resources("config.linux.resources", config.linux.resources)
    context = config.linux.security_context if config.linux else None
    if context is not None and context.namespace_options is not None:
        namespaces.check_container_options(context.namespace_options)
    if context is not None:
        for name in ("masked_paths", "readonly_paths"):
            for index, path in enumerate(getattr(context, name)):
                checks.absolute(f"{CONTEXT}.{name}[{index}]", path)
    selinux.check_options(context.selinux_options if context is not None else None)


def _check_envs(envs: Sequence[cri.KeyValue]) -> None:
    for index, item in enumerate(envs):
        field = f"config.envs[{index}]"
        checks.no_nul(f"{field}.key", item.key)
        if not item.key or "=" in item.key:
            raise InvalidArgument(f"{field}.key is {item.key!r:.100}: a variable's name is not empty and has no '='")
        if b"\0" in item.value:
            raise InvalidArgument(f"{field}.value, of {item.key!r:.100}, must not have a NUL byte")
