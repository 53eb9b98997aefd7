"""Configs of pods and containers, as a kubelet fills them: each is another one's, and labelled with its run."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke import cgroups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.smoke.session import Session

Context = cri.LinuxContainerSecurityContext
RUN_LABEL: Final = "cri-smoke/run"
SLEEP: Final = ("sleep", "3600")
NAMESPACE: Final = "cri-smoke"
_numbers = itertools.count(1)


def pod_config(session: Session, name: str, **fields: Any) -> cri.PodSandboxConfig:
    """A pod's; `fields` take the place of what is usual, but for labels, which are added."""
    name = f"{name}-{next(_numbers)}"
    config = cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=name, uid=f"{session.run}-{name}", namespace=NAMESPACE),
        hostname=name,
        log_directory=f"{session.directory}/{name}",
        labels={RUN_LABEL: session.run, **fields.pop("labels", {})},
        linux=pod_linux(),
    )
    for key, value in fields.items():
        setattr(config, key, value)
    if config.linux:
        config.linux.cgroup_parent = cgroups.parent(session.endpoint.cgroup_driver, session.run, name)
    return config


def pod_linux(**fields: Any) -> cri.LinuxPodSandboxConfig:
    """A pod's Linux settings; `fields` of its security context, `sysctls` beside them."""
    sysctls = fields.pop("sysctls", {})
    options = fields.pop("namespace_options", cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER))
    context = cri.LinuxSandboxSecurityContext(namespace_options=options, **fields)
    return cri.LinuxPodSandboxConfig(security_context=context, sysctls=sysctls)


def container_config(
    session: Session, command: Sequence[str], name: str, context: Context | None, **fields: Any
) -> cri.ContainerConfig:
    """A container's; `fields` take the place of what is usual, but for labels, which are added."""
    name = f"{name}-{next(_numbers)}"
    context = context or Context()
    if context.namespace_options is None:
        context.namespace_options = cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER)
    config = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=name),
        image=cri.ImageSpec(image=fields.pop("image", session.image)),
        command=list(command),
        log_path=f"{name}.log",
        labels={RUN_LABEL: session.run, **fields.pop("labels", {})},
        linux=cri.LinuxContainerConfig(security_context=context, resources=fields.pop("resources", None)),
    )
    for key, value in fields.items():
        setattr(config, key, value)
    return config
