"""RestorePod before anything is made of a pod: what is refused, and with which words."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.config import default
from cri_shim.cri.sandbox.restore import restore_pod
from cri_shim.errors import FailedPrecondition, InvalidArgument
from cri_shim.state.names import NameIndex

pytestmark = pytest.mark.anyio

CONFIG = cri.PodSandboxConfig(metadata=cri.PodSandboxMetadata(name="web", uid="u", namespace="default"))


def config(name):
    return cri.ContainerConfig(metadata=cri.ContainerMetadata(name=name))


@pytest.fixture
def parts(monkeypatch, tmp_path):
    (tmp_path / "criu").write_text("#!/bin/sh\n")
    (tmp_path / "criu").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return cast("Any", SimpleNamespace(settings=default(), sandbox_names=NameIndex(), sandboxes={}))


async def restore(parts, path, names=("main",), pod=CONFIG, options=None):
    configs = [config(name) for name in names]
    await restore_pod(
        parts,
        cri.RestorePodRequest(checkpoint_path=str(path), config=pod, container_configs=configs, options=options or {}),
    )


def written(tmp_path, content):
    (tmp_path / "pod.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return tmp_path


def described(*containers: tuple[str, str], version=1):
    return {"version": version, "containers": [{"name": name, "archive": archive} for name, archive in containers]}


async def test_a_path_is_absolute(parts):
    with pytest.raises(InvalidArgument, match="checkpoint_path 'pod': give the absolute path"):
        await restore(parts, "pod")


async def test_a_pod_is_said_what_it_is_by_the_request_alone(parts, tmp_path):
    with pytest.raises(InvalidArgument, match=r"config\.metadata is missing"):
        await restore(parts, tmp_path, pod=None)


async def test_an_option_is_refused(parts, tmp_path):
    with pytest.raises(InvalidArgument, match=r"options\['leave'\]"):
        await restore(parts, tmp_path, options={"leave": "1"})


async def test_a_node_without_criu_says_so(parts, tmp_path):
    (tmp_path / "criu").unlink()
    with pytest.raises(FailedPrecondition, match=r"can't be restored: there is no criu .*install CRIU"):
        await restore(parts, tmp_path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "can't be read: No such file"),
        ("{", "doesn't describe a pod's checkpoint"),
        ('{"version": 1}', "doesn't describe a pod's checkpoint"),
        (described(("main", "main.tar"), version=2), "is of version 2"),
        (described(("main", "../main.tar")), "no archive's name"),
        (described(("main", "a/b.tar")), "no archive's name"),
        (described(("main", "/etc/x.tar")), "no archive's name"),
    ],
)
async def test_a_directory_without_a_checkpoint_of_ours_is_refused(parts, tmp_path, content, text):
    if content is not None:
        written(tmp_path, content)
    with pytest.raises(FailedPrecondition, match=text):
        await restore(parts, tmp_path)


@pytest.mark.parametrize("names", [(), ("other",), ("main", "other"), ("main", "main")])
async def test_containers_and_configs_are_one_to_one(parts, tmp_path, names):
    path = written(tmp_path, described(("main", "main.tar")))
    with pytest.raises(InvalidArgument, match=r"give one config for each"):
        await restore(parts, path, names=names)


async def test_a_description_that_is_no_file_is_not_waited_for(parts, tmp_path):
    os.mkfifo(tmp_path / "pod.json")
    with pytest.raises(FailedPrecondition, match="not a regular file"):
        await restore(parts, tmp_path)
