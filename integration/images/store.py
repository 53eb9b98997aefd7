"""Images as a registry holds them: blobs and manifests by digest, and names that point at manifests.

Formats: OCI image specification (manifest.md, image-index.md, config.md), Docker image manifest version 2, schema 2.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from integration.images.content import ARCHITECTURE, File, Form, layer_tar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from integration.images.content import Image, Layer

_OCI: Final = "application/vnd.oci.image."
_DOCKER: Final = "application/vnd.docker."
OCI_INDEX: Final = f"{_OCI}index.v1+json"
_OCI_MANIFEST: Final = f"{_OCI}manifest.v1+json"
_OCI_CONFIG: Final = f"{_OCI}config.v1+json"
_OCI_LAYER: Final = f"{_OCI}layer.v1.tar"  # and "+gzip"
_DOCKER_LIST: Final = f"{_DOCKER}distribution.manifest.list.v2+json"
_DOCKER_MANIFEST: Final = f"{_DOCKER}distribution.manifest.v2+json"
_DOCKER_CONFIG: Final = f"{_DOCKER}container.image.v1+json"
_DOCKER_LAYER: Final = f"{_DOCKER}image.rootfs.diff.tar.gzip"
_IN_TOTO: Final = "application/vnd.in-toto+json"
_CREATED: Final = "2024-01-01T00:00:00Z"

Descriptor = dict[str, Any]


@dataclass(frozen=True)
class Platform:
    """A platform as an index names it."""

    os: str
    architecture: str
    more: tuple[tuple[str, str], ...] = ()

    def value(self) -> dict[str, str]:
        """The JSON object."""
        return {"architecture": self.architecture, "os": self.os, **dict(self.more)}


# Entries of an index for other machines. They stand before ours, so that taking the first is a bug that shows.
_FOREIGN: Final = (
    Platform("linux", "s390x"),
    Platform("linux", "arm" if ARCHITECTURE == "arm64" else "arm64", (("variant", "v8"),)),
    Platform("windows", ARCHITECTURE, (("os.version", "10.0.20348.2700"),)),
)


@dataclass(frozen=True)
class Manifest:
    """A manifest or index, as it is sent."""

    media_type: str
    data: bytes


@dataclass(frozen=True)
class _LayerBlob:
    diff_id: str
    digest: str
    size: int


def digest(data: bytes) -> str:
    """The OCI digest."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def canonical(value: object) -> bytes:
    """JSON that is the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Store:
    """Blobs and manifests by digest, and the digest that each full reference (host/path:tag) points at."""

    def __init__(self, images: Iterable[Image] = ()) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, Manifest] = {}
        self.tags: dict[str, str] = {}
        self._layers: dict[tuple[Layer, bool], _LayerBlob] = {}
        for image in images:
            self.add(image)

    def add(self, image: Image) -> str:
        """Build an image and tag it with all its names; returns the digest that they point at."""
        own = self._manifest(image.layers, image, Platform(*image.platform))
        root = self._index(image, own) if image.form.index else own
        for name in image.names:
            if name in self.tags:
                raise ValueError(f"{name} is the name of two images")
            self.tags[name] = root["digest"]
        return str(root["digest"])

    def reachable(self, root: str) -> Iterator[str]:
        """The digests of manifests and blobs under `root`, each after those that it names."""
        value = json.loads(self.manifests[root].data)
        for child in dict.fromkeys(entry["digest"] for entry in value.get("manifests", [])):
            yield from self.reachable(child)
        if "layers" in value:
            yield from dict.fromkeys(entry["digest"] for entry in [value["config"], *value["layers"]])
        yield root

    # ── making ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _index(self, image: Image, own: Descriptor) -> Descriptor:
        others = [self._manifest((_foreign(platform),), image, platform) for platform in _FOREIGN]
        if image.form is Form.DOCKER_LIST:
            return self._keep(_DOCKER_LIST, {"manifests": [*others, own]})
        return self._keep(OCI_INDEX, {"manifests": [*others, own, self._attestation(own)]})

    def _manifest(self, layers: Iterable[Layer], image: Image, platform: Platform) -> Descriptor:
        """One platform's manifest; returns its descriptor with the platform, as an index holds it."""
        made = [self._layer(files, compressed=image.compressed) for files in layers]
        config = canonical(_image_config(image.config, platform, made))
        layer_type = _DOCKER_LAYER if image.form.docker else _OCI_LAYER + ("+gzip" if image.compressed else "")
        value = {
            "config": self._blob(_DOCKER_CONFIG if image.form.docker else _OCI_CONFIG, config),
            "layers": [{"mediaType": layer_type, "digest": one.digest, "size": one.size} for one in made],
        }
        kept = self._keep(_DOCKER_MANIFEST if image.form.docker else _OCI_MANIFEST, value)
        return kept | {"platform": platform.value()}

    def _attestation(self, of: Descriptor) -> Descriptor:
        """What buildx puts beside an image in its index: no image for any platform, and not to be pulled."""
        subject = [{"digest": of["digest"]}]
        statement = canonical({"_type": "https://in-toto.io/Statement/v0.1", "subject": subject})
        nowhere = Platform("unknown", "unknown")
        config = canonical(nowhere.value() | {"rootfs": {"type": "layers", "diff_ids": [digest(statement)]}})
        value = {"config": self._blob(_OCI_CONFIG, config), "layers": [self._blob(_IN_TOTO, statement)]}
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of["digest"],
        }
        return self._keep(_OCI_MANIFEST, value) | {"platform": nowhere.value(), "annotations": annotations}

    def _layer(self, files: Layer, *, compressed: bool) -> _LayerBlob:
        """Each distinct layer is made once."""
        found = self._layers.get((files, compressed))
        if found is None:
            tar = layer_tar(files)
            blob = gzip.compress(tar, 6, mtime=0) if compressed else tar
            name = digest(blob)
            self.blobs[name] = blob
            found = self._layers[files, compressed] = _LayerBlob(digest(tar), name, len(blob))
        return found

    def _blob(self, media_type: str, data: bytes) -> Descriptor:
        name = digest(data)
        self.blobs[name] = data
        return {"mediaType": media_type, "digest": name, "size": len(data)}

    def _keep(self, media_type: str, value: Mapping[str, object]) -> Descriptor:
        data = canonical({"schemaVersion": 2, "mediaType": media_type, **value})
        name = digest(data)
        self.manifests[name] = Manifest(media_type, data)
        return {"mediaType": media_type, "digest": name, "size": len(data)}


def _foreign(platform: Platform) -> Layer:
    return (File("foreign", f"{platform.os}/{platform.architecture}\n".encode(), 0o644),)


def _image_config(config: Mapping[str, object], platform: Platform, layers: list[_LayerBlob]) -> dict[str, object]:
    built = [{"created": _CREATED, "created_by": "integration/images"} for _ in layers]
    return {
        **platform.value(),
        "created": _CREATED,
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [*built, {"created": _CREATED, "created_by": "CMD", "empty_layer": True}],
    }
