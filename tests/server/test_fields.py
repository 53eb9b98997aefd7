"""What a call's log line says of its request, and at which level."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from cri_shim.api.runtime import v1 as cri
from cri_shim.server.fields import fields_of
from cri_shim.server.levels import level_of

POD = cri.PodSandboxConfig(metadata=cri.PodSandboxMetadata(name="web", namespace="shop", uid="u1"))
CONTAINER = cri.ContainerConfig(metadata=cri.ContainerMetadata(name="nginx"))
IMAGE = cri.ImageSpec(image="registry.example/web:1")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (cri.VersionRequest(), {}),
        (cri.StopPodSandboxRequest(pod_sandbox_id="p"), {"pod_sandbox_id": "p"}),
        (cri.StopContainerRequest(container_id="c"), {"container_id": "c"}),
        (cri.RunPodSandboxRequest(config=POD), {"pod": "web", "namespace": "shop", "uid": "u1"}),
        (cri.RunPodSandboxRequest(config=cri.PodSandboxConfig()), {}),
        (
            cri.CreateContainerRequest(pod_sandbox_id="p", config=CONTAINER, sandbox_config=POD),
            {"pod_sandbox_id": "p", "pod": "web", "namespace": "shop", "uid": "u1", "container": "nginx"},
        ),
        (
            cri.CreateContainerRequest(config=cri.ContainerConfig(), sandbox_config=POD),
            {"pod": "web", "namespace": "shop", "uid": "u1"},
        ),
        (
            cri.PullImageRequest(image=IMAGE, auth=cri.AuthConfig(password="secret"), sandbox_config=POD),
            {"image": "registry.example/web:1", "pod": "web", "namespace": "shop", "uid": "u1"},
        ),
        (cri.UpdateRuntimeConfigRequest(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_line_says_what_a_request_is_about_and_no_more(request_, expected):
    assert fields_of(request_) == expected


@pytest.mark.parametrize(
    ("rpc", "level"),
    [("RunPodSandbox", "info"), ("RemoveImage", "info"), ("ListContainers", "debug"), ("ExecSync", "debug")],
)
def test_what_changes_a_pod_is_logged_at_info_and_what_asks_at_debug(rpc, level):
    with capture_logs() as logs:
        level_of(rpc)(structlog.get_logger(), rpc, ms=1)
    assert logs == [{"event": rpc, "log_level": level, "ms": 1}]
