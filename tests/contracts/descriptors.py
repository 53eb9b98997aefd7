"""The contracts in `protos/` as protoc's descriptors, compiled for the tests and seen nowhere else."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
PROTOS = ROOT / "protos"
VIRTUAL = "cri_shim/api"
"""What `protos/` is called in imports: where the build generates its code."""


@cache
def project_descriptors() -> descriptor_pb2.FileDescriptorSet:
    """All of `protos/`, with what it imports of Google's."""
    return descriptors(VIRTUAL, PROTOS)


def descriptors(virtual: str, directory: Path) -> descriptor_pb2.FileDescriptorSet:
    """Every proto file under `directory`, imported as `virtual`/…; each file comes after those that it imports."""
    files = sorted(f"{virtual}/{file.relative_to(directory)}" for file in directory.rglob("*.proto"))
    google = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.NamedTemporaryFile(suffix=".pb") as out:
        includes = (f"-I{virtual}={directory}", f"-I{google}")
        code = protoc.main(["protoc", *includes, "--include_imports", f"--descriptor_set_out={out.name}", *files])
        assert code == 0, "protoc's own message stands above"
        return descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
