"""CheckpointContainer before anything is done: what is refused, and with which words."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.config import default
from cri_shim.cri.container import checkpoint
from cri_shim.cri.container.checkpoint import checkpoint_container
from cri_shim.errors import FailedPrecondition, InvalidArgument, NotFound, Unknown
from cri_shim.oci.spec import Process
from cri_shim.state.container import Container, ContainerStatus
from cri_shim.state.metadata import ContainerMetadata
from cri_shim.state.sandbox import RuntimeChoice
from cri_shim.state.store import Store

pytestmark = pytest.mark.anyio

ID = "a" * 64


@pytest.fixture
def parts(monkeypatch, tmp_path):
    (tmp_path / "criu").write_text("#!/bin/sh\n")
    (tmp_path / "criu").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    containers = Store[Container]("container")
    containers.add(
        Container(
            metadata=ContainerMetadata(id=ID, name="one", sandbox_id="pod", config=cri.ContainerConfig()),
            status=ContainerStatus(created_at=1),
            runtime=RuntimeChoice("io.containerd.runc.v2"),
            process=Process(),
        )
    )
    return cast("Any", SimpleNamespace(settings=default(), containers=containers))


async def refused(parts, location="/tmp/archive.tar", container_id=ID):
    await checkpoint_container(parts, cri.CheckpointContainerRequest(container_id=container_id, location=location))


async def test_a_container_that_does_not_run_is_named_with_its_state(parts):
    with pytest.raises(Unknown, match="is in CONTAINER_CREATED state"):
        await refused(parts)


async def test_an_unknown_container_is_not_found(parts):
    with pytest.raises(NotFound):
        await refused(parts, container_id="b")


@pytest.mark.parametrize("location", ["", "archive.tar", "./archive.tar"])
async def test_a_location_is_absolute(parts, location):
    with pytest.raises(InvalidArgument, match=r"location .*absolute path"):
        await refused(parts, location)


async def test_a_node_without_criu_says_so(parts, tmp_path):
    (tmp_path / "criu").unlink()
    with pytest.raises(FailedPrecondition, match=r"no criu on this node .*install CRIU"):
        await refused(parts)


async def test_a_node_that_is_not_to_use_criu_says_so(parts):
    runtime = replace(parts.settings.runtime, enable_criu=False)
    parts.settings = replace(parts.settings, runtime=runtime)
    with pytest.raises(FailedPrecondition, match="enable_criu is false"):
        await refused(parts)


def test_an_archive_replaces_an_older_one_as_a_whole_and_a_failed_one_leaves_nothing(tmp_path):
    work, location, log = tmp_path / "work", tmp_path / "out" / "archive.tar", tmp_path / "0.log"
    (work / "checkpoint").mkdir(parents=True)
    (work / "checkpoint" / "pages.img").write_bytes(b"pages")
    log.write_text("a line\n")
    with pytest.raises(FileNotFoundError):
        checkpoint._write_archive(str(work), {}, str(location))
    location.parent.mkdir()
    location.write_bytes(b"older" * 10_000)
    checkpoint._save_log(str(log), str(work))
    checkpoint._write_archive(str(work), {"status": b"{}"}, str(location))
    with tarfile.open(location) as archive:
        assert sorted(archive.getnames()) == ["checkpoint", "checkpoint/pages.img", "container.log", "status"]
    assert [path.name for path in location.parent.iterdir()] == ["archive.tar"]
    assert location.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "1970-01-01T00:00:00.000000000Z"), (1_795_490_464_480_888_808, "2026-11-24T03:21:04.480888808Z")],
)
def test_times_are_written_as_go_reads_them(nanoseconds, text):
    assert checkpoint.rfc3339(nanoseconds) == text
