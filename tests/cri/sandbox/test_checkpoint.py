"""CheckpointPod before CRIU is asked: refusals, the names of files, what a failure leaves."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.config import default
from cri_shim.cri.sandbox import checkpoint
from cri_shim.cri.sandbox.checkpoint import checkpoint_pod
from cri_shim.errors import FailedPrecondition, InvalidArgument, NotFound
from cri_shim.oci.spec import Process
from cri_shim.state.container import Container, ContainerStatus
from cri_shim.state.flights import Flights
from cri_shim.state.metadata import ContainerMetadata, SandboxMetadata
from cri_shim.state.sandbox import RuntimeChoice, Sandbox, SandboxState, SandboxStatus
from cri_shim.state.store import Store

pytestmark = pytest.mark.anyio

RUNTIME = RuntimeChoice("io.containerd.runc.v2")
POD, OTHER = "a" * 64, "b" * 64


def container(container_id, name="main", sandbox_id=POD, *, running=True):
    config = cri.ContainerConfig(metadata=cri.ContainerMetadata(name=name))
    return Container(
        metadata=ContainerMetadata(id=container_id, name=name, sandbox_id=sandbox_id, config=config),
        status=ContainerStatus(created_at=1, started_at=2 if running else 0, pid=7 if running else 0),
        runtime=RUNTIME,
        process=Process(),
    )


@pytest.fixture
async def parts(monkeypatch, tmp_path):
    (tmp_path / "criu").write_text("#!/bin/sh\n")
    (tmp_path / "criu").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sandboxes, containers = Store[Sandbox]("sandbox"), Store[Container]("container")
    for sandbox_id in (POD, OTHER):
        config = cri.PodSandboxConfig(metadata=cri.PodSandboxMetadata(name="web", uid="u"))
        metadata = SandboxMetadata(id=sandbox_id, name=sandbox_id, config=config, runtime_handler="runc")
        sandboxes.add(Sandbox(metadata, SandboxStatus(SandboxState.READY, 1), RUNTIME))
    for one in (
        container("1" * 64, "one"),
        container("2" * 64, "two"),
        container("3" * 64, "created", running=False),
        container("4" * 64, "foreign", OTHER),
    ):
        containers.add(one)
    async with anyio.create_task_group() as tasks:
        yield cast(
            "Any",
            SimpleNamespace(
                settings=default(),
                sandboxes=sandboxes,
                containers=containers,
                flights=Flights(tasks),
                containers_of=lambda pod: [one for one in containers if one.metadata.sandbox_id == pod],
            ),
        )


@pytest.fixture
def written(monkeypatch):
    """What CRIU and containerd would do, but for what they write."""

    async def write(_parts, one, location):
        if one.metadata.name == "two" and failing:
            raise FailedPrecondition("criu failed")
        await anyio.Path(location).write_text(one.id)

    failing: list[bool] = []
    monkeypatch.setattr(checkpoint, "checkpoint_to", write)
    return failing


def request(tmp_path, ids=(), pod=POD, output_path=None, options=None):
    return cri.CheckpointPodRequest(
        pod_sandbox_id=pod,
        container_ids=list(ids),
        output_path=str(tmp_path / "out") if output_path is None else output_path,
        options=options or {},
    )


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("exists", [False, True])
async def test_each_running_container_has_an_archive_and_the_pod_a_description(parts, tmp_path, exists):
    out = tmp_path / "out"
    if exists:
        out.mkdir()
    await checkpoint_pod(parts, request(tmp_path))
    assert {path.name for path in out.iterdir()} == {"one.tar", "two.tar", "pod.json"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in out.iterdir() if path.name == "pod.json")
    found = json.loads((out / "pod.json").read_bytes())
    assert (found["version"], found["id"], found["runtimeHandler"]) == (1, POD, "runc")
    assert found["config"]["metadata"]["name"] == "web"
    described = {one["name"]: (one["id"], one["archive"], one["config"]) for one in found["containers"]}
    assert described == {
        "one": ("1" * 64, "one.tar", {"metadata": {"name": "one"}}),
        "two": ("2" * 64, "two.tar", {"metadata": {"name": "two"}}),
    }


@pytest.mark.usefixtures("written")
async def test_only_chosen_containers_are_written_each_once(parts, tmp_path):
    await checkpoint_pod(parts, request(tmp_path, ["2" * 64, "2222"]))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"two.tar", "pod.json"}


@pytest.mark.parametrize("exists", [False, True])
async def test_a_failure_leaves_what_was_there(parts, tmp_path, written, exists):
    out = tmp_path / "out"
    if exists:
        out.mkdir()
    written.append(True)
    with pytest.raises(FailedPrecondition, match="criu failed"):
        await checkpoint_pod(parts, request(tmp_path))
    assert out.exists() is exists
    assert not exists or not list(out.iterdir())


async def test_a_caller_that_gives_up_leaves_nothing(parts, tmp_path, monkeypatch):
    async def forever(_parts, _one, location):
        await anyio.Path(location).write_text("half")
        scope.cancel()
        await anyio.sleep_forever()

    monkeypatch.setattr(checkpoint, "checkpoint_to", forever)
    with anyio.CancelScope() as scope:
        await checkpoint_pod(parts, request(tmp_path))
    await parts.flights.landed(f"checkpoint of pod {POD}")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("written")
async def test_what_is_in_a_directory_stays(parts, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one.tar").write_text("older")
    with pytest.raises(FailedPrecondition, match=r"output_path .* is not empty"):
        await checkpoint_pod(parts, request(tmp_path))
    assert (tmp_path / "out" / "one.tar").read_text() == "older"


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("ids", "fields", "kind", "text"),
    [
        ((), {"pod": "c"}, NotFound, "c"),
        (("5555",), {}, NotFound, "5555"),
        (("1" * 64, "4" * 64), {}, InvalidArgument, r"container_ids\[1\] '4+' is not a container of pod a+"),
        (("3" * 64,), {}, FailedPrecondition, r"container_ids\[0\] .* is in CONTAINER_CREATED state"),
        ((), {"output_path": "out"}, InvalidArgument, "output_path 'out': give the absolute path"),
        ((), {"output_path": ""}, InvalidArgument, "output_path ''"),
        ((), {"options": {"leave": "no"}}, InvalidArgument, r"options\['leave'\]"),
        ((), {"output_path": "/no/such/parent/out"}, FailedPrecondition, "can't be written: .*No such file"),
    ],
)
async def test_what_can_not_be_is_refused_before_anything_is_made(parts, tmp_path, ids, fields, kind, text):
    with pytest.raises(kind, match=text):
        await checkpoint_pod(parts, request(tmp_path, ids, **fields))
    assert not (tmp_path / "out").exists()


async def test_a_pod_in_which_nothing_runs_has_nothing_to_write(parts, tmp_path):
    parts.containers_of = lambda _pod: [container("3" * 64, running=False)]
    with pytest.raises(FailedPrecondition, match="no running container"):
        await checkpoint_pod(parts, request(tmp_path))


async def test_a_node_without_criu_says_so(parts, tmp_path):
    os.unlink(tmp_path / "criu")
    with pytest.raises(FailedPrecondition, match=r"pod a+ can't be checkpointed: there is no criu on this node"):
        await checkpoint_pod(parts, request(tmp_path))


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\0b", "x" * 300])
def test_a_name_that_no_file_can_have_gives_way_to_the_id(name):
    assert list(checkpoint.archives([container("1" * 64, name)])) == ["1" * 64 + ".tar"]


def test_of_two_containers_of_one_name_each_is_called_by_its_id():
    names = list(checkpoint.archives([container("1" * 64), container("2" * 64), container("3" * 64, "other")]))
    assert names == ["1" * 64 + ".tar", "2" * 64 + ".tar", "other.tar"]
