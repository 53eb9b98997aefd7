"""The run's own images: one layer, several configurations (OCI image-spec), each another image in every run."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cri_shim.smoke.image.layer import USER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cri_shim.smoke.image.layer import Layer

REPOSITORY: Final = "cri-smoke"
TOOLS, DEFAULTS, SPARE, CROWD, PRIVATE = "tools", "defaults", "spare", "crowd", "private"
STOP_SIGNAL: Final = "SIGUSR1"
_PATH: Final = "PATH=/bin"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Blob:
    """Bytes that a registry hands out."""

    data: bytes
    media_type: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", f"sha256:{hashlib.sha256(self.data).hexdigest()}")

    @property
    def descriptor(self) -> dict[str, object]:
        """What a manifest says of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


@dataclass(frozen=True)
class OwnImages:
    """The images by their short names; `address` is the registry's, `HOST:PORT`, and `run` their tag."""

    address: str
    run: str
    manifests: Mapping[str, Blob]
    blobs: Mapping[str, Blob]

    def name(self, short: str) -> str:
        """The reference to pull an image by."""
        return f"{self.repository(short)}:{self.run}"

    def repository(self, short: str) -> str:
        """The same without a tag."""
        return f"{self.address}/{REPOSITORY}/{short}"

    def by_digest(self, short: str) -> str:
        """The reference of an image by its digest."""
        return f"{self.repository(short)}@{self.manifests[short].digest}"

    def all_names(self) -> list[str]:
        """All references that may be there in the end."""
        return [self.name(short) for short in self.manifests] + [self.by_digest(short) for short in self.manifests]


def make(layer: Layer, address: str, run: str) -> OwnImages:
    """The images of a run, all of that layer."""
    environment = [_PATH, *([f"LD_LIBRARY_PATH={':'.join(layer.libraries)}"] if layer.libraries else [])]
    plain: dict[str, object] = {"Env": environment, "Cmd": ["sh"]}
    defaults: dict[str, object] = {
        "Env": [*environment, "FROM_IMAGE=image", "OVERRIDDEN=image"],
        "Entrypoint": ["sh", "-c", 'echo entrypoint "$@"', "sh"],
        "Cmd": ["cmd"],
        "User": USER,
        "WorkingDir": "/work",
        "StopSignal": STOP_SIGNAL,
    }
    packed = Blob(layer.data, _LAYER)
    blobs = {packed.digest: packed}
    manifests = {}
    for short, config in {TOOLS: plain, DEFAULTS: defaults, SPARE: plain, CROWD: plain, PRIVATE: plain}.items():
        described = _config({**config, "Labels": {REPOSITORY: f"{run}/{short}"}}, packed.digest)
        blobs[described.digest] = described
        manifests[short] = _manifest(described, packed)
    return OwnImages(address, run, manifests, blobs)


def _config(config: Mapping[str, object], diff_id: str) -> Blob:
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    root = {"type": "layers", "diff_ids": [diff_id]}
    whole = {"architecture": architecture, "os": "linux", "config": config, "rootfs": root}
    return Blob(json.dumps(whole).encode(), _CONFIG)


def _manifest(config: Blob, layer: Blob) -> Blob:
    whole = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config.descriptor, "layers": [layer.descriptor]}
    return Blob(json.dumps(whole).encode(), _MANIFEST)
