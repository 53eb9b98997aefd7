"""Builds docker/Dockerfile with buildah, on the stand-ins, and shows what came of it.

buildah's storage is in the cache and nowhere else; one run at a time uses it. Layers of former builds are used again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from integration.harness import cache, host
from integration.harness.errors import HarnessError
from integration.harness.guardian import PROJECT
from integration.kind_node import bases

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEBIAN: Final = "docker.io/library/debian:trixie-slim"
KIND_NODE: Final = "docker.io/kindest/node:v1.35.0"
_LABEL: Final = "stand-in"


@dataclass(frozen=True)
class Store:
    """buildah, with a storage of its own."""

    directory: Path

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Self]:
        """The one in the cache. Raises `HarnessError` without buildah."""
        host.require_node()
        host.require_programs("buildah")
        directory = cache.cache_directory() / "buildah"
        directory.mkdir(exist_ok=True)
        with open(directory / "lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            store = cls(directory)
            store.run("rm", "--all")  # what a killed run has left
            try:
                yield store
            finally:
                store.run("rm", "--all")

    def run(self, *arguments: str) -> str:
        """What buildah prints; raises `HarnessError` with all that it said when it fails."""
        own = ["--root", str(self.directory / "storage"), "--runroot", str(self.directory / "run")]
        command = ["buildah", *own, "--storage-driver", "overlay", *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(f"buildah {arguments[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def import_base(self, name: str, tree: Path) -> None:
        """Have an image of this name with the content of a tree."""
        if self.label(name) == tree.name:
            return
        container = self.run("from", "scratch")
        mounted = self.run("mount", container)
        subprocess.run(["cp", "-a", f"{tree}/.", mounted], check=True)
        self.run("umount", container)
        self.run("config", "--label", f"{_LABEL}={tree.name}", container)
        self.run("commit", "--rm", "--quiet", container, name)

    def label(self, name: str) -> str:
        """Of which tree an image is made; "" for one that isn't there."""
        try:
            described = json.loads(self.run("inspect", "--type", "image", name))
        except HarnessError:
            return ""
        return str((described["OCIv1"]["config"].get("Labels") or {}).get(_LABEL, ""))

    def build(self, target: str, arguments: Mapping[str, str]) -> str:
        """Build a target of docker/Dockerfile from the source tree; returns the image's id."""
        volumes = [f"--volume={path}:{path}:ro" for path in bases.volumes()]
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options = ["--isolation=chroot", "--layers", "--pull-never", "--format=oci", f"--target={target}", "--quiet"]
        return self.run("build", *options, *volumes, *given, f"--file={PROJECT}/docker/Dockerfile", str(PROJECT))

    @contextlib.contextmanager
    def shown(self, image: str) -> Iterator[Path]:
        """The root file system of an image."""
        container = self.run("from", "--pull-never", image)
        try:
            yield Path(self.run("mount", container))
        finally:
            self.run("rm", container)

    def layers(self, image: str) -> list[tuple[str, int]]:
        """The layers of an image as a registry would have them, compressed by gzip: digest and size."""
        target = self.directory / "pushed"
        shutil.rmtree(target, ignore_errors=True)
        try:
            self.run("push", "--quiet", "--format=oci", image, f"dir:{target}")
            manifest = json.loads((target / "manifest.json").read_text())
        finally:
            shutil.rmtree(target, ignore_errors=True)
        return [(layer["digest"], layer["size"]) for layer in manifest["layers"]]


@contextlib.contextmanager
def store() -> Iterator[Store]:
    """A store with the stand-ins in it, under the names of the originals."""
    with Store.open() as opened:
        opened.import_base(DEBIAN, bases.debian())
        opened.import_base(KIND_NODE, bases.kind_node())
        yield opened
