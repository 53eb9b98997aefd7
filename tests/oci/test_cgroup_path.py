from __future__ import annotations

import pytest

from cri_shim.oci.cgroup_path import cgroups_path


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        ("", "/k8s.io/c1"),
        ("/kubepods/burstable/pod1", "/kubepods/burstable/pod1/c1"),
        ("/kubepods//pod1/", "/kubepods/pod1/c1"),
        ("/", "/c1"),
        ("kubepods-burstable.slice", "kubepods-burstable.slice:cri-containerd:c1"),
        ("/kubepods.slice/kubepods-pod1.slice/", "kubepods-pod1.slice:cri-containerd:c1"),
        ("/kubepods.slice/plain", "/kubepods.slice/plain/c1"),
    ],
)
def test_a_slice_is_for_systemd_and_anything_else_a_path(parent: str, expected: str) -> None:
    assert cgroups_path(parent, "c1") == expected
