"""Images as one file that `ctr images import` and `docker load` read: the OCI image layout, in a tar.

Source: OCI image specification, image-layout.md; containerd reads a name from `io.containerd.image.name`.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

from integration.images.content import EPOCH
from integration.images.store import OCI_INDEX, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from integration.images.store import Store


def archive(store: Store, names: Iterable[str]) -> bytes:
    """The images of these names, for every platform that they have."""
    entries, files = [], {"oci-layout": canonical({"imageLayoutVersion": "1.0.0"})}
    for name in names:
        root = store.tags[name]
        for digest in store.reachable(root):
            manifest = store.manifests.get(digest)
            files[f"blobs/{digest.replace(':', '/')}"] = manifest.data if manifest else store.blobs[digest]
        entries.append(
            {
                "mediaType": store.manifests[root].media_type,
                "digest": root,
                "size": len(store.manifests[root].data),
                "annotations": {"io.containerd.image.name": name},
            }
        )
    files["index.json"] = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    return _tar(files)


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mtime = len(content), EPOCH
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
