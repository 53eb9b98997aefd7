"""Pulls as clusters make them: every form of image, accounts, mirrors, certificates, and registries that misbehave.

After each pull no lease and no half of an image is left, and after each failure the next pull works.
"""

from __future__ import annotations

import base64
import json
import os
import pty
import random
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread
from grpclib import GRPCError
from grpclib.client import Channel
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri
from cri_shim.observe.timeline import Timeline
from integration.harness.assembly import RunningNode, running_node
from integration.harness.containerd import MAIN, PAUSE, Changes
from integration.harness.own_registry import PASSWORD, REFRESH, USER, OwnRegistry, Trouble
from integration.images.build import CERTS_D
from integration.images.content import ARCHITECTURE, File, Form, Image, layer_tar
from integration.images.store import Store, canonical, digest
from integration.kubelet import Kubelet, eventually
from integration.restarts import killed_during

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

HOST, PORT = "own.test", 5001
IMAGE = f"{HOST}/plain:1"
BLOBS = "GET .*/blobs/"
LAYER_SIZE = 3 << 20
ARCHIVE = "/var/lib/sandbox.tar"
STALLED_AFTER = 2  # seconds
ACCOUNT = cri.AuthConfig(username=USER, password=PASSWORD)
CONFIG: dict[str, object] = {"Cmd": ["x"]}


def noise(size: int) -> bytes:
    """Bytes that don't compress, the same each time."""
    return random.Random(size).randbytes(size)


def image(name: str, form: Form = Form.OCI_INDEX, **more: Any) -> Image:
    return Image((f"{HOST}/{name}:1",), ((File("data", noise(LAYER_SIZE)),),), CONFIG, "", form, **more)


@pytest.fixture(scope="module")
def store() -> Store:
    forms = {form.name.lower(): form for form in Form}
    return Store(
        [
            image("plain"),
            *(image(f"form/{name}", form) for name, form in forms.items()),
            image("form/uncompressed", compressed=False),
            image("foreign/index", platform=("linux", "riscv64")),
            image("foreign/alone", Form.OCI, platform=("linux", "riscv64")),
        ]
    )


@pytest.fixture(scope="module")
def pulling(endpoint: str) -> Iterator[RunningNode]:
    """A node whose pulls are given up early."""
    changes = Changes(
        images={"image_pull_progress_timeout": f"{STALLED_AFTER}s"},
        more=f"[plugins.'io.cri-shim.v1']\n  sandbox_image_archive = '{ARCHIVE}'\n",
    )
    with running_node(shim=endpoint == "shim", peer=endpoint != "shim", changes=changes) as node:
        yield node


@pytest.fixture
def registry(pulling: RunningNode, store: Store) -> Iterator[OwnRegistry]:
    with OwnRegistry(pulling.node, PORT, HOST, store) as registry:
        lead(pulling, registry.url)
        yield registry


@pytest.fixture
async def client(pulling: RunningNode) -> AsyncIterator[Kubelet]:
    """A client; in the end the images are as they were, and no lease or wrong bytes are left."""
    server = pulling.shim or pulling.peer
    assert server
    channel = Channel(path=str(server.socket))
    client = Kubelet(cri.RuntimeServiceStub(channel), cri.ImageServiceStub(channel), str(pulling.node.root))
    containerd = pulling.peer or pulling.containerd
    leases = containerd.ctr("leases", "list", "-q")
    try:
        yield client
        for item in (await client.images.list_images(cri.ListImagesRequest())).images:
            await client.remove_image(item.id)
        assert containerd.ctr("images", "list", "-q") == ""
        assert containerd.ctr("leases", "list", "-q") == leases
    finally:
        channel.close()


def lead(node: RunningNode, *servers: str, more: str = "") -> None:
    """Have `HOST` mean these servers, asked in this order; `more` goes to each."""
    hosts = "".join(f'[host."{one}"]\ncapabilities = ["pull", "resolve"]\n{more}\n' for one in servers)
    node.node.write(f"{CERTS_D}/{HOST}/hosts.toml", f'server = "{servers[-1]}"\n{hosts}')


async def pull(client: Kubelet, name: str = IMAGE, auth: cri.AuthConfig | None = None) -> str:
    request = cri.PullImageRequest(image=cri.ImageSpec(image=name), auth=auth)
    return (await client.images.pull_image(request)).image_ref


def ingests(node: RunningNode) -> list[str]:
    """What has come in part."""
    return (node.peer or node.containerd).ctr("content", "active").splitlines()[1:]


async def refusal(client: Kubelet, name: str = IMAGE, auth: cri.AuthConfig | None = None) -> GRPCError:
    """What a pull is refused with; nothing of the image is to be seen then."""
    with pytest.raises(GRPCError) as caught:
        await pull(client, name, auth)
    assert await client.image(name) is None
    return caught.value


@contextmanager
def troubled(registry: OwnRegistry, trouble: Trouble) -> Iterator[Trouble]:
    registry.troubles.append(trouble)
    yield trouble
    registry.troubles.remove(trouble)


# ── forms ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["uncompressed", *(form.name.lower() for form in Form)])
async def test_every_form_of_an_image_is_pulled(client: Kubelet, registry: OwnRegistry, form: str) -> None:
    name = f"{HOST}/form/{form}:1"
    image_id = await pull(client, name)
    digest = registry.digest_of(f"form/{form}:1")
    found = await client.image(name)
    assert found is not None
    assert found.id == image_id
    assert found.repo_digests == [f"{HOST}/form/{form}@{digest}"]
    await client.remove_image(name)
    assert await pull(client, f"{HOST}/form/{form}@{digest}") == image_id
    found = await client.image(image_id)
    assert found is not None
    assert (found.repo_tags, found.repo_digests) == ([], [f"{HOST}/form/{form}@{digest}"])


async def test_a_layer_in_zstd_is_pulled_and_read(client: Kubelet, registry: OwnRegistry, store: Store) -> None:
    del registry
    layer = layer_tar((File("data", b"in zstd"),))
    config = {"os": "linux", "architecture": ARCHITECTURE, "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}
    described = store._blob("application/vnd.oci.image.config.v1+json", canonical(config))
    manifest = {
        "config": described,
        "layers": [store._blob("application/vnd.oci.image.layer.v1.tar+zstd", zstd(layer))],
    }
    store.tags[f"{HOST}/zstd:1"] = store._keep("application/vnd.oci.image.manifest.v1+json", manifest)["digest"]
    assert await pull(client, f"{HOST}/zstd:1") == described["digest"]


def zstd(data: bytes) -> bytes:
    """A frame of raw blocks (RFC 8878, section 3.1.1): valid, and not smaller than what is in it."""
    pieces = [data[start : start + (64 << 10)] for start in range(0, len(data), 64 << 10)]
    blocks = [
        (len(piece) << 3 | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
        for number, piece in enumerate(pieces)
    ]
    return b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little") + b"".join(blocks)


async def test_an_image_that_is_there_and_not_unpacked_needs_no_download(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    containerd = pulling.peer or pulling.containerd
    containerd.ctr("content", "fetch", "--hosts-dir", CERTS_D, IMAGE)

    async def appears() -> cri.Image | None:
        return await client.image(IMAGE)

    await eventually(appears, 20)
    registry.requests.clear()
    pod = await client.run_pod()
    await client.create(pod, client.container_config(image=IMAGE))
    assert registry.requests == []
    await client.stop_pod(pod)
    await client.remove_pod(pod)


@pytest.fixture
def discarding(pulling: RunningNode) -> Iterator[None]:
    """A server that keeps no layers, while the test lasts."""
    assert pulling.shim
    configuration = pulling.node.path(MAIN.config)
    before = configuration.read_text()
    images = "[plugins.'io.containerd.cri.v1.images']\n"
    configuration.write_text(before.replace(images, f"{images}  discard_unpacked_layers = true\n"))
    pulling.shim.daemon.restart()
    yield
    configuration.write_text(before)
    pulling.shim.daemon.restart()


@pytest.mark.shim_only  # the peer is not reconfigured
@pytest.mark.usefixtures("discarding")
async def test_layers_are_given_up_once_they_are_unpacked_where_that_is_asked(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode, store: Store
) -> None:
    image_id = await pull(client)
    digests = [one for one in store.reachable(registry.digest_of("plain:1")) if one in store.blobs]
    layer = max(digests, key=lambda one: len(store.blobs[one]))

    async def layer_gone() -> bool | None:
        return layer not in pulling.containerd.ctr("content", "list", "-q") or None

    await eventually(layer_gone)
    assert image_id in pulling.containerd.ctr("content", "list", "-q")
    pod = await client.run_pod()
    await client.create(pod, client.container_config(image=IMAGE))
    await client.stop_pod(pod)
    await client.remove_pod(pod)
    assert await pull(client) == image_id
    found = await client.image(IMAGE)
    assert found
    assert found.size > LAYER_SIZE


@pytest.mark.shim_only
async def test_where_the_time_of_a_pull_went_can_be_asked(client: Kubelet, registry: OwnRegistry) -> None:
    with troubled(registry, Trouble(BLOBS, after=1 << 20, pause=0.01)):
        await pull(client)
    request = cri.ImageStatusRequest(image=cri.ImageSpec(image=IMAGE), verbose=True)
    timeline = Timeline.from_json((await client.images.image_status(request)).info["timeline"])
    assert timeline.name == "PullImage"
    whole = next(step for step in timeline.steps if step.name == "pull")
    layer = next(step for step in timeline.steps if step.lane.startswith("layer "))
    assert layer.name.startswith("fetch")
    assert whole.start <= layer.start < layer.start + layer.length <= whole.start + whole.length
    assert layer.length > whole.length / 2


@pytest.mark.shim_only
@pytest.mark.usefixtures("registry")
async def test_an_index_without_this_machine_is_refused(client: Kubelet) -> None:
    """Improvement: containerd refuses it too, but keeps its name."""
    assert "nothing for linux/" in ((await refusal(client, f"{HOST}/foreign/index:1")).message or "")


@pytest.mark.shim_only
@pytest.mark.usefixtures("registry")
async def test_an_image_for_other_machines_is_refused(client: Kubelet, pulling: RunningNode) -> None:
    """Improvement: containerd takes a manifest that stands alone, whatever it is for."""
    error = await refusal(client, f"{HOST}/foreign/alone:1")
    assert error.status is Status.FAILED_PRECONDITION
    assert "is for linux/riscv64" in (error.message or "")
    assert "foreign" not in pulling.containerd.ctr("images", "list", "-q")


@pytest.mark.shim_only
async def test_an_artifact_is_refused(client: Kubelet, registry: OwnRegistry, store: Store) -> None:
    """Improvement: containerd shows it as an image without layers."""
    del registry
    empty, text = store._blob("application/vnd.oci.empty.v1+json", b"{}"), store._blob("text/plain", b"hello")
    manifest = {"artifactType": "text/plain", "config": empty, "layers": [text]}
    store.tags[f"{HOST}/artifact:1"] = store._keep("application/vnd.oci.image.manifest.v1+json", manifest)["digest"]
    error = await refusal(client, f"{HOST}/artifact:1")
    assert error.status is Status.FAILED_PRECONDITION
    assert "no container image" in (error.message or "")


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────────────

ENCODED = cri.AuthConfig(auth=base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
IDENTITY = cri.AuthConfig(identity_token=REFRESH)


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        pytest.param("basic", ACCOUNT, id="name and password, basic"),
        pytest.param("basic", ENCODED, id="encoded, basic"),
        pytest.param("token", ACCOUNT, id="name and password, token server"),
        pytest.param("token", ENCODED, id="encoded, token server"),
        pytest.param("token", IDENTITY, id="identity token"),
    ],
)
async def test_credentials_open_a_registry(
    client: Kubelet, registry: OwnRegistry, scheme: str, auth: cri.AuthConfig
) -> None:
    registry.auth = scheme
    await pull(client, auth=auth)


@pytest.mark.shim_only
async def test_a_registry_token_opens_its_registry(client: Kubelet, registry: OwnRegistry) -> None:
    """Improvement: containerd's own CRI doesn't pass it on."""
    registry.auth = "token"
    registry.tokens.add("a-token")
    await pull(client, auth=cri.AuthConfig(registry_token="a-token"))


@pytest.mark.shim_only
async def test_a_registry_token_is_told_to_nobody_else(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    lead(pulling, "http://127.0.0.1:1", registry.url)
    error = await refusal(client, auth=cri.AuthConfig(registry_token="a-token"))
    assert error.status is Status.FAILED_PRECONDITION
    assert "a-token" not in (error.message or "")
    assert registry.requests == []


@pytest.mark.parametrize("scheme", ["basic", "token"])
async def test_a_secret_for_another_server_is_not_told(client: Kubelet, registry: OwnRegistry, scheme: str) -> None:
    registry.auth = scheme
    elsewhere = cri.AuthConfig(username=USER, password=PASSWORD, server_address="https://elsewhere.test")
    await refusal(client, auth=elsewhere)
    assert {request.authorization for request in registry.requests} == {""}


@pytest.mark.parametrize("scheme", ["basic", "token"])
async def test_wrong_credentials_are_refused_and_never_written_down(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode, scheme: str
) -> None:
    registry.auth = scheme
    error = await refusal(client, auth=cri.AuthConfig(username=USER, password="open-sesame"))
    said = (error.message or "") + "".join(pulling.logs().values())
    assert "open-sesame" not in said
    assert base64.b64encode(f"{USER}:open-sesame".encode()).decode() not in said


@pytest.mark.shim_only
@pytest.mark.parametrize("scheme", ["basic", "token"])
async def test_who_is_refused_is_told_what_was_given(client: Kubelet, registry: OwnRegistry, scheme: str) -> None:
    """Improvement: containerd answers Unknown, and doesn't tell."""
    registry.auth = scheme
    error = await refusal(client)
    assert error.status is Status.UNAUTHENTICATED
    assert "no credentials were given" in (error.message or "")
    error = await refusal(client, auth=cri.AuthConfig(username=USER, password="open-sesame"))
    assert "given don't do" in (error.message or "")


# ── servers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_next_server_is_asked_when_one_is_away(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    lead(pulling, "http://127.0.0.1:1", registry.url)
    await pull(client)


@pytest.mark.shim_only
async def test_all_servers_that_are_away_are_named_in_order(client: Kubelet, pulling: RunningNode) -> None:
    """Improvement: containerd names the last one."""
    lead(pulling, "http://127.0.0.1:1", "http://127.0.0.1:2")
    message = (await refusal(client)).message or ""
    assert message.startswith("RegistryUnavailable: ")
    assert "http://127.0.0.1:1, http://127.0.0.1:2" in message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate for 127.0.0.1, signed by nobody else."""
    path = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=own.test", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-keyout", "key", "-out", "certificate", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *made],
        cwd=path,
        check=True,
        capture_output=True,
    )
    (path / "both").write_text((path / "key").read_text() + (path / "certificate").read_text())
    return path / "both"


async def test_a_private_ca_is_believed_when_it_is_named(
    client: Kubelet, pulling: RunningNode, store: Store, certificate: Path
) -> None:
    pulling.node.write("/etc/own-ca.pem", (certificate.parent / "certificate").read_text())
    with OwnRegistry(pulling.node, PORT, HOST, store, certificate=certificate) as registry:
        lead(pulling, registry.url)
        assert "x509" in ((await refusal(client)).message or "")
        lead(pulling, registry.url, more='ca = "/etc/own-ca.pem"')
        await pull(client)
        await client.remove_image(IMAGE)
        lead(pulling, registry.url, more="skip_verify = true")
        await pull(client)


async def test_a_client_certificate_is_shown_where_one_is_named(
    client: Kubelet, pulling: RunningNode, store: Store, certificate: Path
) -> None:
    ca = certificate.parent / "certificate"
    pulling.node.write("/etc/own-ca.pem", ca.read_text())
    pulling.node.write("/etc/own-client.pem", (certificate.parent / "both").read_text())
    with OwnRegistry(pulling.node, PORT, HOST, store, certificate=certificate, client_ca=ca) as registry:
        lead(pulling, registry.url, more='ca = "/etc/own-ca.pem"')
        assert "tls: " in ((await refusal(client)).message or "")
        lead(pulling, registry.url, more='ca = "/etc/own-ca.pem"\nclient = "/etc/own-client.pem"')
        await pull(client)


async def test_a_server_is_asked_below_its_own_path_and_with_its_own_headers(
    client: Kubelet, pulling: RunningNode, store: Store
) -> None:
    with OwnRegistry(pulling.node, PORT, HOST, store, under="/mirror/of") as registry:
        url = f"{registry.url}/mirror/of/v2"
        lead(pulling, url, more=f'override_path = true\n[host."{url}".header]\nX-Site = "here"')
        await pull(client)
    assert {request.site for request in registry.requests} == {"here"}
    assert {request.path.partition("/v2/")[0] for request in registry.requests} == {"/mirror/of"}


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Trouble(BLOBS, after=100, cut=True), id="cut off in the configuration"),
        pytest.param(Trouble(BLOBS, after=1 << 20, cut=True), id="cut off in a layer"),
        pytest.param(Trouble("manifests", answer=(503, {}, b"")), id="503"),
        pytest.param(Trouble("manifests", answer=(429, {"Retry-After": "1"}, b"")), id="429"),
        pytest.param(Trouble(BLOBS, answer=(500, {}, b"")), id="500 for a blob"),
        pytest.param(Trouble(BLOBS, answer=(307, {"Location": "http://127.0.0.1:1/"}, b"")), id="led astray"),
        pytest.param(Trouble("manifests", answer=(200, {"Content-Type": "text/html"}, b"<html>")), id="not a registry"),
    ],
)
async def test_a_registry_that_fails_fails_one_pull_alone(
    client: Kubelet, registry: OwnRegistry, trouble: Trouble
) -> None:
    with troubled(registry, trouble):
        message = (await refusal(client)).message or ""
    assert IMAGE in message
    await pull(client)


async def nothing_in_part(pulling: RunningNode) -> None:
    async def gone() -> bool | None:
        return ingests(pulling) == [] or None

    await eventually(gone)


async def test_what_a_failed_pull_has_fetched_is_soon_dropped(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    with troubled(registry, Trouble(BLOBS, after=1 << 20, cut=True)):
        await refusal(client)
    await nothing_in_part(pulling)


@pytest.mark.shim_only  # the peer is containerd: killed below
async def test_what_a_killed_server_was_fetching_is_soon_dropped(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    with troubled(registry, Trouble(BLOBS, after=1 << 20, stall=threading.Event())) as trouble:
        assert trouble.stall
        await killed_during(pulling, lambda: pull(client), 0.5)
        assert trouble.met.is_set()
        trouble.stall.set()
    await nothing_in_part(pulling)


@pytest.mark.shim_only
@pytest.mark.parametrize(
    "full", ["io.containerd.content.v1.content", "io.containerd.snapshotter.v1.overlayfs/snapshots"]
)
@pytest.mark.usefixtures("registry")
async def test_a_full_disk_fails_the_pull_and_once_there_is_space_the_next_one_works(
    client: Kubelet, pulling: RunningNode, full: str
) -> None:
    """Improvement: containerd's plugin has no code and no advice for it."""
    directory = f"{MAIN.root}/{full}"
    pulling.node.run(["mkdir", "-p", directory])
    pulling.node.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory])
    pulling.node.run(["mkdir", "-p", f"{directory}/ingest", f"{directory}/blobs/sha256"])
    try:
        error = await refusal(client)
        assert error.status is Status.RESOURCE_EXHAUSTED
        assert "no space left on device" in (error.message or "")
        assert "free space on the node's disk" in (error.message or "")
        pulling.node.run(["mount", "-o", "remount,size=64m", directory])
        await pull(client)
        await client.remove_image(IMAGE)
        assert pulling.node.run(["find", directory, "-type", "f", "-size", "+100k"]).stdout == ""
    finally:
        pulling.node.run(["umount", directory])


@pytest.mark.shim_only
@pytest.mark.parametrize("after", [0, 1 << 20], ids=["a configuration", "a layer"])
async def test_wrong_bytes_are_not_kept_for_the_next_pull(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode, after: int
) -> None:
    """Improvement: containerd keeps them, and gives the same answer until it collects its garbage."""
    with troubled(registry, Trouble(BLOBS, after=after, wrong=True)):
        error = await refusal(client)
    assert error.status is Status.DATA_LOSS
    assert ingests(pulling) == []
    await pull(client)


@pytest.mark.shim_only
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Trouble("HEAD .*/manifests/", stall=threading.Event()), id="before an answer"),
        pytest.param(Trouble(BLOBS, after=1000, stall=threading.Event()), id="at the beginning of a layer"),
        pytest.param(Trouble(BLOBS, after=2 << 20, stall=threading.Event()), id="in a layer"),
    ],
)
async def test_a_pull_that_stands_still_is_ended(client: Kubelet, registry: OwnRegistry, trouble: Trouble) -> None:
    """Improvement: containerd notices only once a good part of a layer has come."""
    assert trouble.stall
    with troubled(registry, trouble), anyio.fail_after(60):
        error = await refusal(client)
        trouble.stall.set()
    assert error.status is Status.CANCELLED
    assert f"image_pull_progress_timeout ({STALLED_AFTER} s)" in (error.message or "")
    await pull(client)


async def test_a_pull_that_is_slow_and_moves_is_not_ended(client: Kubelet, registry: OwnRegistry) -> None:
    begin = anyio.current_time()
    with troubled(registry, Trouble(BLOBS, pause=0.02)):
        await pull(client)
    assert anyio.current_time() - begin > STALLED_AFTER


async def test_a_redirect_is_followed_without_the_credentials(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode, store: Store
) -> None:
    registry.auth = "basic"
    root = registry.digest_of("plain:1")
    layer = max((one for one in store.reachable(root) if one in store.blobs), key=lambda one: len(store.blobs[one]))
    with OwnRegistry(pulling.node, PORT, HOST, store, address="127.0.0.2") as elsewhere:
        answer = (307, {"Location": f"{elsewhere.url}/v2/plain/blobs/{layer}"}, b"")
        with troubled(registry, Trouble(f"blobs/{layer}", answer=answer)):
            await pull(client, auth=ACCOUNT)
        assert elsewhere.blob_requests() == [layer]
        assert {request.authorization for request in elsewhere.requests} == {""}


# ── several at once ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.shim_only
async def test_equal_pulls_share_one_transfer_whoever_gives_up(client: Kubelet, registry: OwnRegistry) -> None:
    """Improvement: containerd resolves and fetches once for each, and shares no more than its locks."""
    found: list[str] = []
    with troubled(registry, Trouble(BLOBS, after=1000, stall=threading.Event(), times=1)) as trouble:
        assert trouble.stall

        async def one() -> None:
            found.append(await pull(client))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(one)
            await to_thread.run_sync(trouble.met.wait, 30)
            with anyio.move_on_after(0.2):
                await pull(client)
            trouble.stall.set()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert len(registry.blob_requests()) == len(set(registry.blob_requests()))


async def test_a_pull_that_its_client_gives_up_leaves_nothing(client: Kubelet, registry: OwnRegistry) -> None:
    with troubled(registry, Trouble(BLOBS, after=1000, stall=threading.Event())) as trouble:
        assert trouble.stall
        with anyio.move_on_after(0.5):
            await pull(client)
        trouble.stall.set()
    assert await client.image(IMAGE) is None
    await pull(client)


async def test_containerd_may_be_killed_in_the_middle_of_a_pull(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    if pulling.shim is None:
        pytest.skip("the peer is that containerd")
    daemon = pulling.containerd.daemon
    with troubled(registry, Trouble(BLOBS, after=1000, stall=threading.Event())) as trouble:
        assert trouble.stall
        async with anyio.create_task_group() as tasks:

            async def one() -> None:
                error = await refusal(client)
                assert "containerd" in (error.message or "")

            tasks.start_soon(one)
            await to_thread.run_sync(trouble.met.wait, 30)
            await to_thread.run_sync(daemon.kill)
            trouble.stall.set()
            await to_thread.run_sync(daemon.start)

    async def works() -> str | None:
        try:
            return await pull(client)
        except GRPCError:
            return None

    assert await eventually(works, 30)


@pytest.mark.shim_only
async def test_how_far_a_pull_is_can_be_asked(client: Kubelet, registry: OwnRegistry) -> None:
    """Improvement: no other runtime tells."""

    async def downloading() -> dict[str, Any] | None:
        info = (await client.runtime.status(cri.StatusRequest(verbose=True))).info
        blobs = [blob for pull in json.loads(info["pulls"]) for blob in pull["blobs"].values()]
        return next((blob for blob in blobs if blob["state"] == "downloading"), None)

    with troubled(registry, Trouble(BLOBS, pause=0.02)):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pull, client)
            blob = await eventually(downloading, 20)
    assert 0 < blob["done"] < blob["total"]
    info = (await client.runtime.status(cri.StatusRequest(verbose=True))).info
    assert json.loads(info["pulls"]) == []


def shown(pulling: RunningNode, *words: str) -> tuple[str, str]:
    """What a command of ours prints: on standard output, and on the terminal that its standard error is."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "cri_shim", *words, "--endpoint", pulling.shim_endpoint]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=end, text=True, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(end)
        seen = b""
        with suppress(OSError):  # a terminal without its other end
            while data := os.read(terminal, 1 << 16):
                seen += data
        os.close(terminal)
        assert process.stdout
        return process.stdout.read(), seen.decode()


@pytest.mark.shim_only
async def test_a_pull_is_seen_coming_on_a_terminal(
    client: Kubelet, registry: OwnRegistry, pulling: RunningNode
) -> None:
    with troubled(registry, Trouble(BLOBS, pause=0.01)):
        printed, seen = await to_thread.run_sync(shown, pulling, "images", "pull", IMAGE)
    found = await client.image(IMAGE)
    assert found is not None
    assert printed.strip() == found.id
    assert "layer " in seen
    assert "MB/s" in seen or "bytes/s" in seen
    printed, seen = await to_thread.run_sync(shown, pulling, "images", "pull", f"{HOST}/none:1")
    assert f"{HOST}/none:1: not found" in seen.replace("\r\n", "")
    printed, seen = await to_thread.run_sync(shown, pulling, "pulls", "--once")
    assert json.loads(printed) == []


@pytest.mark.shim_only
@pytest.mark.parametrize("archive", ["OCI", "Docker", "missing"])
async def test_the_sandbox_image_is_had_from_an_archive_where_one_is_named(
    client: Kubelet, pulling: RunningNode, archive: str
) -> None:
    """Improvement: containerd can only pull it. What is wrong with an archive is no reason not to try that."""
    await client.pull(PAUSE)
    if archive != "missing":
        pulling.containerd.ctr(
            "images", "export", *(["--skip-manifest-json"] if archive == "OCI" else []), ARCHIVE, PAUSE
        )
    await client.remove_image(PAUSE)
    daemon = pulling.registry.daemon
    if archive != "missing":
        await to_thread.run_sync(daemon.stop)
    try:
        pod = await client.run_pod()
        image = await client.image(PAUSE)
        assert image is not None
        assert image.pinned
        assert image.repo_digests
        await client.stop_pod(pod)
        await client.remove_pod(pod)
    finally:
        if archive != "missing":
            pulling.node.path(ARCHIVE).unlink()
            await to_thread.run_sync(daemon.start)
