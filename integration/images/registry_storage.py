"""The storage directory of a registry, written without one running.

The layout is the distribution project's "filesystem" driver's (registry/storage/paths.go there), unchanged since its
version 2.0: blobs once under their digest, and for each repository links to the layers, manifests and tags it has.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from integration.images.store import Store

_VERSION: Final = Path("docker/registry/v2")


def write(directory: Path, store: Store, references: Iterable[str] | None = None) -> None:
    """Put images (all, or those of `references`) into the storage directory of a registry, which may be running.

    A reference's host is dropped: `registry.k8s.io/pause:3.10` becomes `pause`, tag `3.10`.
    """
    top = directory / _VERSION
    for name in store.tags if references is None else references:
        repository, tag = name.split("/", 1)[1].rsplit(":", 1)
        _image(top, store, repository, tag, store.tags[name])


def _image(top: Path, store: Store, repository: str, tag: str, root: str) -> None:
    place = top / "repositories" / repository
    for digest in store.reachable(root):
        manifest = store.manifests.get(digest)
        _blob(top, digest, manifest.data if manifest else store.blobs[digest])
        kind = "_manifests/revisions" if manifest else "_layers"
        _link(place / kind / _parts(digest), digest)
    named = place / "_manifests/tags" / tag
    _link(named / "index" / _parts(root), root)
    _link(named / "current", root)


def _blob(top: Path, digest: str, data: bytes) -> None:
    algorithm, value = digest.split(":")
    path = top / "blobs" / algorithm / value[:2] / value / "data"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _link(directory: Path, digest: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "link").write_text(digest)


def _parts(digest: str) -> Path:
    algorithm, value = digest.split(":")
    return Path(algorithm) / value
