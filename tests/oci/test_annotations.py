from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from cri_shim.oci.annotations import container_annotations, passed_through, sandbox_annotations
from tests.oci.node import POD_CONFIG, pod_config

IDENTITY = {
    "io.kubernetes.cri.sandbox-id": "s1",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": "u-1",
    "io.kubernetes.cri.sandbox-name": "web",
}


def test_a_pause_container_is_marked_as_one() -> None:
    assert sandbox_annotations("s1", POD_CONFIG, "pause:3") == {
        "io.kubernetes.cri.container-type": "sandbox",
        **IDENTITY,
        "io.kubernetes.cri.sandbox-log-directory": "/var/log/pods/x",
        "io.kubernetes.cri.podsandbox.image-name": "pause:3",
    }


def test_a_pods_resources_are_told_in_decimal() -> None:
    linux = cri.LinuxPodSandboxConfig(
        resources=cri.LinuxContainerResources(
            cpu_period=100000, cpu_quota=-1, cpu_shares=2, memory_limit_in_bytes=1 << 40
        )
    )
    found = sandbox_annotations("s1", pod_config(linux=linux), "pause:3")
    assert {key: value for key, value in found.items() if "cpu" in key or "memory" in key} == {
        "io.kubernetes.cri.sandbox-cpu-period": "100000",
        "io.kubernetes.cri.sandbox-cpu-quota": "-1",
        "io.kubernetes.cri.sandbox-cpu-shares": "2",
        "io.kubernetes.cri.sandbox-memory": "1099511627776",
    }


def test_a_workload_is_named_with_the_image_as_the_user_wrote_it() -> None:
    config = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name="app"), image=cri.ImageSpec(image="sha256:1", user_specified_image="app:1")
    )
    assert container_annotations("s1", POD_CONFIG, config, "docker.io/library/app:1") == {
        "io.kubernetes.cri.container-type": "container",
        **IDENTITY,
        "io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.image-name": "app:1",
    }
    config.image = None
    found = container_annotations("s1", POD_CONFIG, config, "docker.io/library/app:1")
    assert found["io.kubernetes.cri.image-name"] == "docker.io/library/app:1"


def test_names_that_are_missing_are_empty() -> None:
    found = container_annotations("s1", cri.PodSandboxConfig(), cri.ContainerConfig(), "app")
    assert found["io.kubernetes.cri.sandbox-name"] == found["io.kubernetes.cri.container-name"] == ""


def test_only_what_a_pattern_matches_is_passed_through() -> None:
    annotations = {"example.com/a": "1", "example.com/a/b": "2", "other": "3"}
    assert passed_through(annotations, ["example.com/*", "[", "oth??"]) == {"example.com/a": "1", "other": "3"}
    assert passed_through(annotations, []) == {}
