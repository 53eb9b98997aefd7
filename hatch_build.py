"""Generates `cri_shim/api` from `protos/` when a wheel or an editable install is made.

Two generators, because the two sides are used differently (ARCHITECTURE.md, "Generated code"):

- what we serve (`protos/cri`, `protos/grpc`) becomes betterproto2 dataclasses with grpclib services, at its package's
  name: `cri_shim.api.runtime.v1`;
- containerd's API and what rides on it (the rest) becomes classic `pb2` modules with type stubs and grpclib stubs,
  at the path of their file: `protos/containerd/types/mount.proto` is `cri_shim.api.containerd.types.mount_pb2`.

Nothing is generated twice: a stamp holds the hash of the sources and of the generators' versions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
PROTOS = ROOT / "protos"
API = ROOT / "cri_shim" / "api"
SERVED = ("cri_shim/api/cri/", "cri_shim/api/grpc/")
GENERATORS = ("grpcio-tools", "betterproto2_compiler", "grpclib")


class GenerateApi(BuildHookInterface):  # type: ignore[type-arg]
    """The build hook: hatchling calls `initialize` before it collects files."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if self.target_name == "wheel":
            generate()

    def clean(self, versions: list[str]) -> None:  # noqa: ARG002
        shutil.rmtree(API, ignore_errors=True)


def fingerprint(files: list[Path]) -> str:
    """A hash over the contracts' content, this file and the generators' versions."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in GENERATORS:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    for file in files:
        digest.update(f"{file.relative_to(PROTOS)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def generate() -> None:
    """Bring `cri_shim/api` up to date with `protos/`; nothing is touched when it already is."""
    files = sorted(PROTOS.rglob("*.proto"))
    stamp, wanted = API / ".stamp", fingerprint(files)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    fresh = API.with_name("api.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    virtual = [f"cri_shim/api/{file.relative_to(PROTOS)}" for file in files]
    served = [name for name in virtual if name.startswith(SERVED)]
    out = fresh / "tree"
    out.mkdir()
    protoc(
        *(f"--{kind}_out={out}" for kind in ("python", "pyi", "grpclib_python")), *sorted(set(virtual) - set(served))
    )
    generated = out / "cri_shim" / "api"
    protoc(
        f"--python_betterproto2_out={generated}",
        "--python_betterproto2_opt=server_generation=async",
        "--python_betterproto2_opt=client_generation=async",
        *served,
    )
    for directory in [generated, *(path for path in generated.rglob("*") if path.is_dir())]:
        (directory / "__init__.py").touch()
    for empty in (path for path in generated.rglob("*_grpc.py") if "class " not in path.read_text()):
        empty.unlink()
    (generated / ".stamp").write_text(wanted)
    shutil.rmtree(API, ignore_errors=True)
    generated.rename(API)
    shutil.rmtree(fresh)


def protoc(*arguments: str) -> None:
    """Run protoc over `protos/`, seen as `cri_shim/api/`, so that generated imports carry their real package."""
    from grpc_tools import protoc as compiler  # noqa: PLC0415  (a build dependency, not one of this file's readers)

    # protoc looks for its plugins on PATH; they stand beside the interpreter, or in the build's own overlay.
    plugins = [os.path.dirname(sys.executable), *(os.path.join(os.path.dirname(p), "bin") for p in sys.path)]
    plugins += [os.path.normpath(os.path.join(p, "..", "..", "..", "bin")) for p in sys.path if p]
    path, os.environ["PATH"] = os.environ.get("PATH", ""), os.pathsep.join([*plugins, os.environ.get("PATH", "")])
    include = Path(compiler.__file__).parent / "_proto"
    try:
        code = compiler.main(["protoc", f"-Icri_shim/api={PROTOS}", f"-I{include}", *arguments])
    finally:
        os.environ["PATH"] = path
    if code:
        raise RuntimeError(f"protoc ended with {code}: see its message above, and check the files in {PROTOS}")


if __name__ == "__main__":
    generate()
    print(f"{API} is up to date")
