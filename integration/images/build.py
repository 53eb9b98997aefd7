"""Builds the images into a layer of the node's root file system, once: a registry's storage and what leads there.

    python -m integration.images --list             the table of images
    python -m integration.images --digests          `digest  reference` lines
    python -m integration.images --critest BIN COPY a critest whose fixed digest is our image's

The layer has `/var/lib/registry` (storage), `/etc/containerd/certs.d` (every host leads to the registry) and
`/usr/share/cri-shim/images` (option files for critest and cri-integration, and `digests.json`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING, Final

from integration.harness import cache, host, rootfs
from integration.harness.errors import HarnessError
from integration.images import catalog, critest, mirrors, registry_storage
from integration.images.busybox import Busybox
from integration.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration.images.content import Image

REGISTRY: Final = "127.0.0.1:5000"  # in each node's own network
STORAGE: Final = "/var/lib/registry"
CERTS_D: Final = "/etc/containerd/certs.d"
OPTIONS: Final = "/usr/share/cri-shim/images"
_HERE: Final = Path(__file__).parent


def layer() -> Path:
    """The layer."""
    debian = rootfs.debian()
    sources = {path.name: cache.digest(path) for path in sorted(_HERE.glob("*.[pc]*")) if path.is_file()}
    return cache.tree("images", [debian.name, sources], lambda directory: _build(directory, debian))


def digests(built: Path) -> dict[str, str]:
    """The digest of every reference in a layer."""
    found: dict[str, str] = json.loads((built / OPTIONS.lstrip("/") / "digests.json").read_text())
    return found


def images(debian: Path) -> list[Image]:
    """All images, made from the busybox of the Debian layer and from programs.c."""
    return catalog.images(Busybox(debian, program()))


@once
def program() -> bytes:
    """The static binary of programs.c."""
    host.require_programs("gcc")
    with tempfile.TemporaryDirectory() as work:
        binary = Path(work) / "programs"
        command = ["gcc", "-O2", "-static", "-s", "-o", str(binary), str(_HERE / "programs.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(
                f"programs.c doesn't compile:\n{done.stderr}", remedy="sudo apt-get install gcc libc6-dev"
            )
        return binary.read_bytes()


def table(built: Sequence[Image]) -> str:
    """The images as a Markdown table."""
    rows = ["| image | form | layers | for |", "|---|---|---|---|"]
    for image in built:
        names = ", ".join(f"`{name}`" for name in image.names)
        rows.append(f"| {names} | {image.form.value} | {len(image.layers)} | {image.note} |")
    return "\n".join(rows)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="integration.images", description="the images that tests pull")
    parser.add_argument("--list", action="store_true", help="print the table of images (Markdown)")
    parser.add_argument("--digests", action="store_true", help="print `digest  reference` lines")
    parser.add_argument("--critest", type=Path, nargs=2, metavar=("BIN", "COPY"), help="copy a critest for our digests")
    options = parser.parse_args()
    if options.list:
        print(table(images(rootfs.debian())))
    if options.digests:
        print("\n".join(f"{digest}  {name}" for name, digest in sorted(digests(layer()).items())))
    if options.critest:
        binary, copy = options.critest
        critest.retarget(binary, copy, digests(layer())[f"{catalog.CRITEST_BY_DIGEST}:latest"])
    if not any(vars(options).values()):
        print(layer())


def _build(directory: Path, debian: Path) -> None:
    host.require_disk(directory)
    store = Store(images(debian))
    registry_storage.write(directory / STORAGE.lstrip("/"), store)
    mirrors.write(directory / CERTS_D.lstrip("/"), REGISTRY, store.tags)
    options = directory / OPTIONS.lstrip("/")
    critest.write_options(options, store)
    (options / "digests.json").write_text(json.dumps(store.tags, indent=1, sort_keys=True) + "\n")
