"""Images: when they are pulled, what is said when that fails, and when they are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.harness.own_registry import OwnRegistry
from integration.images.build import CERTS_D
from integration.images.catalog import STAGING
from integration.images.content import File, Image
from integration.images.store import Store
from integration.standalone_kubelet.credentials import HOST
from integration.standalone_kubelet.manifest import Container, Pod
from integration.standalone_kubelet.standalone import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration.harness.assembly import RunningNode
    from integration.standalone_kubelet.answers import PodStatus
    from integration.standalone_kubelet.standalone import StandaloneKubelet

FOREVER = "exec sleep 100000"


def image(number: int) -> str:
    return f"{STAGING}test-image-{number}:latest"


def ref(running: RunningNode, name: str) -> str | None:
    """What containerd holds under an image's name."""
    under = running.peer or running.containerd
    names = under.ctr("images", "list", "--quiet").split()
    return name if name in names else None


def reason(status: PodStatus) -> str:
    return status.container().why_waiting


@pytest.fixture
def no_registry(running: RunningNode) -> Iterator[Callable[[], None]]:
    """The registry is away; called, it is there again."""
    running.registry.daemon.stop()
    yield running.registry.daemon.start
    if not running.registry.daemon.running:
        running.registry.daemon.start()


def test_an_image_that_must_not_be_pulled_is_waited_for(kubelet: StandaloneKubelet, running: RunningNode) -> None:
    container = Container(script=FOREVER, image=image(1), image_pull_policy="Never")
    kubelet.run(Pod(name="never", containers=(container,)))
    kubelet.until("never", lambda status: reason(status) == "ErrImageNeverPull")
    assert ref(running, image(1)) is None
    other = Container(script=FOREVER, image=image(1), image_pull_policy="IfNotPresent")
    kubelet.runs(Pod(name="pulls", containers=(other,)))
    kubelet.ready("never", seconds=120)


def test_an_image_that_is_there_is_not_pulled(kubelet: StandaloneKubelet, running: RunningNode) -> None:
    container = Container(script=FOREVER, image_pull_policy="IfNotPresent")
    kubelet.runs(Pod(name="pulled", containers=(container,)))
    running.registry.daemon.stop()
    try:
        kubelet.runs(Pod(name="present", containers=(container,)))
    finally:
        running.registry.daemon.start()


def test_an_image_that_is_always_pulled_waits_for_its_registry(
    kubelet: StandaloneKubelet, no_registry: Callable[[], None]
) -> None:
    kubelet.run(Pod(name="always", containers=(Container(script=FOREVER, image_pull_policy="Always"),)))
    kubelet.until("always", lambda status: reason(status) in {"ErrImagePull", "RegistryUnavailable"})
    status = kubelet.until("always", lambda status: reason(status) == "ImagePullBackOff")
    waiting = status.container().state.waiting
    assert waiting
    assert "docker.io/test/tools:1" in waiting.message
    no_registry()
    kubelet.ready("always", seconds=120)


@pytest.mark.parametrize(
    ("name", "wanted", "why"),
    [
        ("docker.io/test/no-such:1", "ErrImagePull", "not found"),
        pytest.param(  # containerd's plugin pulls it, and its container can't start
            "docker.io/test/foreign:1", "ErrImagePull", "is for linux/s390x", marks=pytest.mark.shim_only
        ),
        ("Not A Name", "InvalidImageName", "couldn't parse image name"),
    ],
)
def test_an_image_that_can_not_be_had_is_told_of(kubelet: StandaloneKubelet, name: str, wanted: str, why: str) -> None:
    pod_name = f"no-image-{wanted.lower()}-{len(name)}"
    kubelet.run(Pod(name=pod_name, containers=(Container(script=FOREVER, image=name),)))
    status = kubelet.until(pod_name, lambda status: reason(status) == wanted)
    waiting = status.container().state.waiting
    assert waiting
    assert why in waiting.message


def test_an_account_for_a_registry_comes_from_a_credential_provider(
    kubelet: StandaloneKubelet, running: RunningNode
) -> None:
    closed = "closed.test"  # the provider has no account for this one
    layer = (File("file", b"x"),)
    images = [Image((f"{host}/private:1",), (layer,), {"Cmd": ["/none"]}, "") for host in (HOST, closed)]
    for host in (HOST, closed):
        running.node.write(f"{CERTS_D}/{host}/hosts.toml", 'server = "http://127.0.0.1:5001"\n')
    with OwnRegistry(running.node, 5001, HOST, Store(images), auth="basic"):
        for host in (HOST, closed):
            kubelet.run(Pod(name=host.replace(".", "-"), containers=(Container(image=f"{host}/private:1"),)))
        status = kubelet.until("own-test", lambda status: status.container().last_state.terminated)
        assert "sha256:" in status.container().image_id
        status = kubelet.until("closed-test", lambda status: reason(status) == "ErrImagePull")
        waiting = status.container().state.waiting
        assert waiting
        assert "401" in waiting.message or "authorization failed" in waiting.message


def test_what_an_image_says_is_what_is_run(kubelet: StandaloneKubelet) -> None:
    kubelet.run(Pod(name="entrypoint", containers=(Container(image="docker.io/test/entrypoint:1"),)))
    status = kubelet.until("entrypoint", lambda status: status.container().restart_count >= 1)
    assert status.container().image == "docker.io/test/entrypoint:1"
    assert "sha256:" in status.container().image_id
    assert kubelet.log("entrypoint") == "entrypoint cmd\n"


def test_images_that_nobody_uses_make_room(
    kubelet: StandaloneKubelet, running: RunningNode, reconfigured: Callable[..., None]
) -> None:
    for number in (2, 3):
        kubelet.runs(Pod(name=f"image-{number}", containers=(Container(script=FOREVER, image=image(number)),)))
    kubelet.remove("image-2")
    kubelet.gone("image-2")
    assert ref(running, image(2))
    reconfigured(evictionHard={"imagefs.available": "99.9%"})
    eventually(lambda: ref(running, image(2)) is None or None, 120)
    assert ref(running, image(3)), "an image in use was removed"
    assert kubelet.ready("image-3").container().restart_count == 0
    assert ref(running, "registry.k8s.io/pause:3.10"), "the pinned image was removed"
