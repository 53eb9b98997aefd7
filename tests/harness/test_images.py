"""Images as a registry holds them: digests hold, forms are what they say, the storage layout is complete."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from integration.harness.errors import HarnessError
from integration.images import critest, mirrors, registry_storage
from integration.images.catalog import CRITEST_BY_DIGEST
from integration.images.content import ARCHITECTURE, File, Form, Image, layer_tar, text
from integration.images.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def image(name: str = "registry.test/a/b:1", form: Form = Form.OCI_INDEX, **more: Any) -> Image:
    layers = ((text("etc/motd", "hello"), File("bin"), File("bin/sh", b"#!", link=None)),)
    return Image((name,), layers, {"Cmd": ["sh"]}, "for this test", form, **more)


def manifest(store: Store, digest: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(store.manifests[digest].data)
    return value


def own_manifest(store: Store, root: str) -> dict[str, Any]:
    """The manifest for this machine's platform under an index."""
    entries = manifest(store, root)["manifests"]
    ours = [entry for entry in entries if entry["platform"] == {"os": "linux", "architecture": ARCHITECTURE}]
    assert len(ours) == 1
    return manifest(store, ours[0]["digest"])


def test_the_same_image_has_the_same_digest() -> None:
    assert Store([image()]).tags == Store([image()]).tags


@pytest.mark.parametrize("form", list(Form))
def test_every_blob_has_the_digest_and_size_that_its_manifest_says(form: Form) -> None:
    store = Store([image(form=form)])
    for digest in store.reachable(store.tags["registry.test/a/b:1"]):
        data = store.manifests[digest].data if digest in store.manifests else store.blobs[digest]
        assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
    for kept in store.manifests.values():
        value = json.loads(kept.data)
        for named in [*value.get("manifests", []), *value.get("layers", [])]:
            digest = named["digest"]
            data = store.manifests[digest].data if digest in store.manifests else store.blobs[digest]
            assert named["size"] == len(data)


@pytest.mark.parametrize(("form", "family"), [(Form.OCI_INDEX, "oci"), (Form.DOCKER_LIST, "docker")])
def test_an_index_names_other_platforms_before_ours(form: Form, family: str) -> None:
    store = Store([image(form=form)])
    root = store.tags["registry.test/a/b:1"]
    assert family in store.manifests[root].media_type
    assert manifest(store, root)["manifests"][0]["platform"]["architecture"] == "s390x"
    own = own_manifest(store, root)
    config = json.loads(store.blobs[own["config"]["digest"]])
    tar = gzip.decompress(store.blobs[own["layers"][0]["digest"]])
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(tar).hexdigest()]


def test_a_layer_has_its_files_links_modes_and_owners() -> None:
    files = (
        File("d", mode=0o700),
        text("d/f", "content", 0o640),
        File("d/hard", link="d/f"),
        File("soft", symlink="/d/f"),
        File("owned", b"", owner=(65534, 1)),
    )
    with tarfile.open(fileobj=io.BytesIO(layer_tar(files))) as tar:
        entries = {entry.name: entry for entry in tar}
        assert entries["d"].isdir()
        assert entries["d"].mode == 0o700
        content = tar.extractfile("d/f")
        assert content
        assert content.read() == b"content"
    assert entries["d/hard"].islnk()
    assert entries["soft"].linkname == "/d/f"
    assert (entries["owned"].uid, entries["owned"].gid) == (65534, 1)


def test_one_name_is_not_given_to_two_images() -> None:
    with pytest.raises(ValueError, match=r"registry\.test/a/b:1"):
        Store([image(), image()])


def test_a_registrys_storage_leads_from_the_tag_to_every_blob(tmp_path: Path) -> None:
    store = Store([image(form=Form.OCI)])
    registry_storage.write(tmp_path, store)
    top = tmp_path / "docker/registry/v2"
    root = (top / "repositories/a/b/_manifests/tags/1/current/link").read_text()
    assert root == store.tags["registry.test/a/b:1"]
    value = root.removeprefix("sha256:")
    found = (top / f"blobs/sha256/{value[:2]}/{value}/data").read_bytes()
    assert found == store.manifests[root].data
    assert (top / f"repositories/a/b/_manifests/revisions/sha256/{value}/link").read_text() == root
    for layer in json.loads(found)["layers"]:
        link = top / "repositories/a/b/_layers/sha256" / layer["digest"].removeprefix("sha256:") / "link"
        assert link.read_text() == layer["digest"]


def test_every_host_leads_to_the_registry_and_to_no_other(tmp_path: Path) -> None:
    mirrors.write(tmp_path, "127.0.0.1:5000", ["docker.io/test/a:1", "registry.k8s.io/pause:3.10"])
    assert {path.name for path in tmp_path.iterdir()} == {"_default", "docker.io", "registry.k8s.io"}
    for path in tmp_path.iterdir():
        assert 'server = "http://127.0.0.1:5000"' in (path / "hosts.toml").read_text()


def test_a_critest_is_made_to_pull_our_digest(tmp_path: Path) -> None:
    binary, copy = tmp_path / "critest", tmp_path / "copy"
    binary.write_bytes(b"\x00" + f"{CRITEST_BY_DIGEST}@sha256:{'a' * 64}".encode() + b"\x00")
    critest.retarget(binary, copy, "sha256:" + "b" * 64)
    assert copy.read_bytes() == b"\x00" + f"{CRITEST_BY_DIGEST}@sha256:{'b' * 64}".encode() + b"\x00"
    binary.write_bytes(b"something else")
    with pytest.raises(HarnessError, match="is it critest"):
        critest.retarget(binary, copy, "sha256:" + "b" * 64)
