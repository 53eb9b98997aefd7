"""Volumes: of the pod's own, of the node's, of images, and what the pod is told of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integration.standalone_kubelet.manifest import Container, Mount, Pod, Resources
from integration.standalone_kubelet.standalone import eventually, full_name

if TYPE_CHECKING:
    from integration.standalone_kubelet.host_directory import HostDirectory
    from integration.standalone_kubelet.standalone import StandaloneKubelet

FOREVER = "exec sleep 100000"


def field(path: str) -> dict[str, object]:
    return {"fieldRef": {"fieldPath": path}}


def test_an_empty_directory_outlives_containers_but_not_its_pod(kubelet: StandaloneKubelet) -> None:
    script = "[ -e /shared/first ] && exec sleep 100000; touch /shared/first; exit 1"
    container = Container(script=script, volume_mounts=(Mount(name="shared", mount_path="/shared"),))
    kubelet.run(Pod(name="empty-dir", containers=(container,), volumes=({"name": "shared", "emptyDir": {}},)))
    kubelet.until("empty-dir", lambda status: status.container().restart_count == 1 and status.condition("Ready"))
    directory = kubelet.node.path(f"/var/lib/kubelet/pods/{kubelet.uid('empty-dir')}")
    assert (directory / "volumes/kubernetes.io~empty-dir/shared/first").exists()
    kubelet.remove("empty-dir")
    kubelet.gone("empty-dir")
    eventually(lambda: not directory.exists() or None, 30)


def test_an_empty_directory_may_be_in_memory(kubelet: StandaloneKubelet) -> None:
    volume = {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}
    container = Container(script=FOREVER, volume_mounts=(Mount(name="memory", mount_path="/memory"),))
    kubelet.runs(Pod(name="memory-dir", containers=(container,), volumes=(volume,)))
    mounted = [line.split() for line in kubelet.sh("memory-dir", "cat /proc/mounts").splitlines()]
    options = next(options for _, target, kind, options, *_ in mounted if (target, kind) == ("/memory", "tmpfs"))
    assert f"size={8 << 10}k" in options.split(",")


def test_a_directory_of_the_nodes_is_shown_and_kept(kubelet: StandaloneKubelet, kept: HostDirectory) -> None:
    script = f"echo from the pod >/kept/file; ls /kept; touch /part/no; {FOREVER}"
    part = Mount(name="kept", mount_path="/part", sub_path="part", read_only=True)
    container = Container(script=f"mkdir -p /kept/part; {script}", volume_mounts=(kept.mount, part))
    kubelet.runs(Pod(name="host-path", containers=(container,), volumes=(kept.volume,)))
    kubelet.remove("host-path")
    kubelet.gone("host-path")
    assert kept.lines("file") == ["from the pod"]
    assert not (kept.path / "part/no").exists()


def test_a_mount_made_on_the_node_comes_into_a_pod_that_wants_it(
    kubelet: StandaloneKubelet, kept: HostDirectory
) -> None:
    follows = Mount(name="kept", mount_path="/follows", mount_propagation="HostToContainer")
    kubelet.runs(
        Pod(
            name="propagation",
            containers=(Container(script=FOREVER, volume_mounts=(kept.mount, follows)),),
            volumes=(kept.volume,),
        )
    )
    (kept.path / "disk").mkdir()
    kubelet.node.run(["mount", "-t", "tmpfs", "tmpfs", f"{kept.inside}/disk"])
    try:
        kubelet.node.write(f"{kept.inside}/disk/file", "here\n")
        assert kubelet.sh("propagation", "cat /follows/disk/file") == "here\n"
        assert kubelet.sh("propagation", "ls /kept/disk") == ""
    finally:
        kubelet.node.run(["umount", f"{kept.inside}/disk"])


def test_a_container_is_told_of_its_pod(kubelet: StandaloneKubelet) -> None:
    env = (
        {"name": "POD", "valueFrom": field("metadata.name")},
        {"name": "SPACE", "valueFrom": field("metadata.namespace")},
        {"name": "IP", "valueFrom": field("status.podIP")},
        {"name": "NODE", "valueFrom": field("spec.nodeName")},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        {"name": "PLAIN", "value": "$(POD) in $(SPACE)"},
    )
    items = (
        {"path": "labels", **field("metadata.labels")},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}},
    )
    volume = {"name": "told", "downwardAPI": {"items": items}}
    container = Container(
        script=f'echo "$POD|$SPACE|$IP|$NODE|$MEMORY|$PLAIN"; {FOREVER}',
        env=env,
        resources=Resources(limits={"memory": "48Mi", "cpu": "300m"}),
        volume_mounts=(Mount(name="told", mount_path="/told"),),
    )
    pod = Pod(name="downward", containers=(container,), volumes=(volume,), labels={"app": "told"})
    status = kubelet.runs(pod)
    name = full_name("downward")
    told = (name, "default", status.pod_ip, "node", str(48 << 20), f"{name} in default")
    assert kubelet.log("downward").strip() == "|".join(told)
    assert kubelet.sh("downward", "cat /told/labels") == 'app="told"'
    assert kubelet.sh("downward", "cat /told/cpu") == "300"


def test_an_image_can_be_a_volume(kubelet: StandaloneKubelet) -> None:
    image = {"name": "image", "image": {"reference": "docker.io/test/volumes:1", "pullPolicy": "Always"}}
    container = Container(
        script=f"cat /image/data/kept; touch /image/no || echo read-only; {FOREVER}",
        volume_mounts=(Mount(name="image", mount_path="/image", read_only=True),),
    )
    kubelet.runs(Pod(name="image-volume", containers=(container,), volumes=(image,)))
    said = kubelet.log("image-volume").splitlines()
    assert said[0] == "from the image"
    assert "read-only" in said
