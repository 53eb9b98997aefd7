"""What a call's log line says of its request, and at which level."""

from __future__ import annotations

import json

import pytest
import structlog

from cri_shim.api.runtime import v1 as cri
from cri_shim.observe.logging import LEVELS
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
    [("RunPodSandbox", "info"), ("RemoveImage", "info"), ("ExecSync", "debug"), ("ListContainers", "trace")],
)
@pytest.mark.parametrize("least", ["trace", "debug", "info", "warn"])
def test_what_changes_a_pod_is_logged_at_info_and_what_is_asked_every_second_at_trace(rpc, level, least, log_as):
    stream = log_as(least)
    level_of(rpc)(structlog.get_logger(), rpc, ms=1)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    shown = list(LEVELS).index(level) >= list(LEVELS).index(least)
    assert [(line["level"], line["msg"]) for line in lines] == ([(level, rpc)] if shown else [])
