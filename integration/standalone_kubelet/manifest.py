"""What a static pod's manifest says, in the fields of Kubernetes' v1 API that the tests use.

Reference: Kubernetes API, core/v1, PodSpec. What is left at its default is left out of the file.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE: Final = "default"
TOOLS: Final = "docker.io/test/tools:1"


class Field(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of a manifest."""


class Exec(Field, frozen=True):
    """A command that a probe or hook runs in the container."""

    command: tuple[str, ...]


class At(Field, frozen=True):
    """Where a probe or hook connects to; `host` is the pod's own address unless it is named."""

    port: int
    path: str | None = None
    host: str | None = None


class Hook(Field, frozen=True):
    """A LifecycleHandler."""

    exec_: Exec | None = msgspec.field(default=None, name="exec")
    http_get: At | None = None
    sleep: Mapping[str, int] | None = None


class Probe(Field, frozen=True):
    """A probe; by default it is made each second and has a single failure to spare."""

    exec_: Exec | None = msgspec.field(default=None, name="exec")
    http_get: At | None = None
    tcp_socket: At | None = None
    period_seconds: int = 1
    failure_threshold: int | None = None
    success_threshold: int | None = None
    initial_delay_seconds: int | None = None
    timeout_seconds: int | None = None
    termination_grace_period_seconds: int | None = None


class Lifecycle(Field, frozen=True):
    """Hooks of a container, and the signal that stops it."""

    post_start: Hook | None = None
    pre_stop: Hook | None = None


class Port(Field, frozen=True):
    """A port of a container's."""

    container_port: int
    host_port: int | None = None
    protocol: str = "TCP"


class Mount(Field, frozen=True):
    """Where a volume is seen."""

    name: str
    mount_path: str
    read_only: bool = False
    sub_path: str | None = None
    mount_propagation: str | None = None


class Resources(Field, frozen=True):
    """Requests and limits, by the name of the resource."""

    requests: Mapping[str, str] | None = None
    limits: Mapping[str, str] | None = None


class Container(Field, frozen=True):
    """A container that runs `script` in busybox's shell, or `command`, or what its image says."""

    name: str = "main"
    script: str | None = None
    command: tuple[str, ...] | None = None
    image: str = TOOLS
    image_pull_policy: str | None = None
    env: tuple[Mapping[str, object], ...] | None = None
    ports: tuple[Port, ...] | None = None
    volume_mounts: tuple[Mount, ...] | None = None
    resources: Resources | None = None
    lifecycle: Lifecycle | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    restart_policy: str | None = None
    security_context: Mapping[str, object] | None = None
    termination_message_policy: str | None = None
    stdin: bool = False
    tty: bool = False


class Pod(Field, frozen=True):
    """A pod; unless it says otherwise it is restarted always and has a second to end in."""

    name: str
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] | None = None
    volumes: tuple[Mapping[str, object], ...] | None = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    restart_policy: str | None = None
    grace: int = 1
    host_network: bool = False
    host_users: bool | None = None
    share_process_namespace: bool = False
    host_aliases: tuple[Mapping[str, object], ...] | None = None
    dns_policy: str | None = None
    dns_config: Mapping[str, object] | None = None
    hostname: str | None = None
    security_context: Mapping[str, object] | None = None


_OURS: Final = ("name", "labels", "annotations", "grace")  # not PodSpec's, or not under this name


def manifest(pod: Pod) -> str:
    """The manifest's text: JSON, which is YAML."""
    spec = msgspec.to_builtins(pod)
    metadata = {"name": pod.name, "namespace": NAMESPACE, "labels": pod.labels or {}}
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind) or ():
            _complete(container)
    content = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "annotations": pod.annotations or {}},
        "spec": {
            **{name: value for name, value in spec.items() if name not in _OURS},
            "terminationGracePeriodSeconds": pod.grace,
        },
    }
    return json.dumps(content, indent=1)


def _complete(container: dict[str, object]) -> None:
    """Write the defaults that are ours, and the script as the command that it stands for."""
    script = container.pop("script", None)
    if script is not None:
        container["command"] = ["sh", "-c", script]
    container.setdefault("name", "main")
    container.setdefault("image", TOOLS)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if isinstance(probe, dict):
            probe.setdefault("periodSeconds", 1)
            probe.setdefault("failureThreshold", 1)
