"""The image that is made on the spot, and the registry that hands it out."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from http import HTTPStatus
from typing import TYPE_CHECKING

import h11
import pytest
from anyio import connect_tcp

from cri_shim.errors import FailedPrecondition
from cri_shim.smoke.image import layer, programs, registry
from cri_shim.smoke.image.own import PRIVATE, SPARE, TOOLS, make
from cri_shim.smoke.place import Place

if TYPE_CHECKING:
    from pathlib import Path

LAYER = layer.Layer(b"not really a tar", ("/lib", "/opt/lib"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's root file system."""
    directory = tmp_path_factory.mktemp("root")
    with tarfile.open(fileobj=io.BytesIO(layer.build().data)) as tar:
        tar.extractall(directory, filter="tar")
    return directory


def test_the_image_has_a_shell_and_what_it_needs(root: Path) -> None:
    for name in programs.REQUIRED:
        assert os.access(root / "bin" / name, os.X_OK)
        for needed in programs.needed(os.path.realpath(programs.found()[name])):
            assert (root / needed.lstrip("/")).is_file(), needed
    assert "smoke:x:1234" in (root / "etc/passwd").read_text()


def test_directories_are_as_an_image_has_them() -> None:
    with tarfile.open(fileobj=io.BytesIO(layer.build().data)) as tar:
        assert tar.getmember("tmp").mode == 0o1777
        names = tar.getnames()
    assert len({*names}) == len(names)
    assert [name for name in names if "/" in name and name.rpartition("/")[0] not in names] == []


def test_its_shell_runs_with_the_images_own_loader_and_libraries(root: Path) -> None:
    with open(os.path.realpath(programs.found()["sh"]), "rb") as file:
        loader = programs.loader_of(file)
    if not loader:
        pytest.skip("this machine's shell is static")
    libraries = ":".join(str(root / path.lstrip("/")) for path in layer.build().libraries)
    command = [str(root / loader.lstrip("/")), "--library-path", libraries, str(root / "bin/sh"), "-c", "echo $((6*7))"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={})
    assert done.stdout == "42\n"


def test_a_machine_without_a_shell_is_told_of_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_SEARCHED", "/nonexistent")
    with pytest.raises(FailedPrecondition, match=r"no cat, sh, sleep in /nonexistent.*--image"):
        programs.found()


def test_a_script_needs_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh -e\nexit\n")
    assert programs.needed(str(script)) == {"/bin/sh"} | programs.needed("/bin/sh")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"#!/bin/sh",
        b"\x7fELF",
        b"\x7fELF\x07\x01",
        b"\x7fELF\x02\x01" + bytes(60),
    ],
)
def test_a_file_that_names_no_loader_has_none(head: bytes) -> None:
    assert programs.loader_of(io.BytesIO(head)) == ""


def test_manifests_name_the_blobs_that_are_there_and_each_image_is_another() -> None:
    images = make(LAYER, "127.0.0.1:5", "abcd")
    digests = set()
    for manifest in images.manifests.values():
        told = json.loads(manifest.data)
        for each in (told["config"], *told["layers"]):
            blob = images.blobs[each["digest"]]
            assert each == {"mediaType": blob.media_type, "digest": blob.digest, "size": len(blob.data)}
            assert blob.digest == f"sha256:{hashlib.sha256(blob.data).hexdigest()}"
        config = json.loads(images.blobs[told["config"]["digest"]].data)
        assert config["rootfs"]["diff_ids"] == [told["layers"][0]["digest"]], "it is not compressed"
        assert "LD_LIBRARY_PATH=/lib:/opt/lib" in config["config"]["Env"]
        digests.add(told["config"]["digest"])
    assert len(digests) == len(images.manifests)
    assert images.name(TOOLS) == "127.0.0.1:5/cri-smoke/tools:abcd"


def test_a_registry_answers_for_what_it_has() -> None:
    images = make(LAYER, "127.0.0.1:5", "abcd")
    manifest = images.manifests[SPARE]
    base = f"/v2/cri-smoke/{SPARE}"
    blob = images.blobs[json.loads(manifest.data)["config"]["digest"]]
    for path, given in (
        ("/v2/", (HTTPStatus.OK, None)),
        (f"{base}/manifests/abcd", (HTTPStatus.OK, manifest)),
        (f"{base}/manifests/{manifest.digest}", (HTTPStatus.OK, manifest)),
        (f"{base}/manifests/other", (HTTPStatus.NOT_FOUND, None)),
        (f"{base}/blobs/{blob.digest}", (HTTPStatus.OK, blob)),
        (f"{base}/blobs/sha256:0", (HTTPStatus.NOT_FOUND, None)),
        ("/v2/cri-smoke/nothing/manifests/abcd", (HTTPStatus.NOT_FOUND, None)),
        ("/etc/passwd", (HTTPStatus.NOT_FOUND, None)),
    ):
        answer = registry.answer(images, path, "")
        assert (answer.status, answer.blob) == given, path


def test_a_private_repository_asks_for_the_account() -> None:
    images = make(LAYER, "127.0.0.1:5", "abcd")
    path = f"/v2/cri-smoke/{PRIVATE}/manifests/abcd"
    refused = registry.answer(images, path, "Basic d3Jvbmc=")
    assert (refused.status, dict(refused.headers)) == (
        HTTPStatus.UNAUTHORIZED,
        {"WWW-Authenticate": 'Basic realm="cri-smoke"'},
    )
    assert registry.answer(images, path, registry._CREDENTIALS).status == HTTPStatus.OK


@pytest.mark.anyio
async def test_a_client_that_begins_with_tls_is_told_that_this_is_http() -> None:
    """Containerd tries TLS first, and takes an HTTP answer as the sign to come again without."""
    async with registry.serving(Place(), LAYER, "abcd") as images:
        host, port = images.address.split(":")
        async with await connect_tcp(host, int(port)) as stream:
            await stream.send(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03")
            assert (await stream.receive()).startswith(b"HTTP/1.0 400")


@pytest.mark.anyio
async def test_requests_follow_one_another_on_a_connection_and_head_has_no_body() -> None:
    async with registry.serving(Place(), LAYER, "abcd") as images:
        host, port = images.address.split(":")
        async with await connect_tcp(host, int(port)) as stream:
            http = h11.Connection(h11.CLIENT)
            for method, length in (("HEAD", 0), ("GET", len(images.manifests[TOOLS].data)), ("GET", 0)):
                path = f"/v2/cri-smoke/{TOOLS}/manifests/abcd"
                request = h11.Request(method=method, target=path, headers=[("Host", images.address)])
                await stream.send((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
                body = b""
                while not isinstance(event := http.next_event(), h11.EndOfMessage):
                    if event is h11.NEED_DATA:
                        http.receive_data(await stream.receive())
                    elif isinstance(event, h11.Data):
                        body += event.data
                assert len(body) == length or method == "GET"
                http.start_next_cycle()
