"""SELinux where the kernel has it: which labels containers' processes and files get, and what is relabelled.

The policy is the kernel's, not a node's: so only where this machine is the node (integration/guest). There it refuses
nothing: a label is seen, and what it keeps a process from is the policy's matter.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from integration.conftest import CONTAINERD, SHIM
from integration.harness import this_machine
from integration.harness.assembly import running_node
from integration.harness.containerd import Changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet, Pod

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not this_machine.wanted(), reason="labels would be of this machine's own policy"),
    pytest.mark.skipif("selinuxfs" not in Path("/proc/filesystems").read_text(), reason="the kernel has no SELinux"),
]

Options = cri.SeLinuxOption
CONTEXTS = Path("/etc/selinux/default/contexts/lxc_contexts")
LEVEL = re.compile(r"s0:c\d+,c\d+")
OTHER = "init_t"  # a type that every policy has, and that system processes may have


@pytest.fixture(scope="session")
def running(endpoint: str) -> Iterator[RunningNode]:
    """A node whose CRI labels containers."""
    changes = Changes(settings={"enable_selinux": True}, systemd_cgroup=True)
    with running_node(shim=endpoint == SHIM, peer=endpoint == CONTAINERD, changes=changes) as node:
        yield node


def policys(key: str) -> str:
    """What the policy says that containers have, without its level."""
    found = re.search(rf'^{key} = "(\w+:\w+:\w+)', CONTEXTS.read_text(), re.MULTILINE)
    assert found, CONTEXTS
    return found[1]


def parted(label: str) -> tuple[str, str]:
    """Of a label, `user:role:type` and the level."""
    user, role, kind, level = label.split(":", 3)
    return f"{user}:{role}:{kind}", level


def label_of(path: Path) -> str:
    return os.getxattr(path, "security.selinux", follow_symlinks=False).decode().rstrip("\0")


def our_label() -> str:
    """That of the process which starts the node's daemons."""
    return Path("/proc/self/attr/current").read_text().strip("\0\n")


def security(options: Options | None = None, *, privileged: bool = False) -> cri.LinuxContainerConfig:
    context = cri.LinuxContainerSecurityContext(selinux_options=options, privileged=privileged)
    return cri.LinuxContainerConfig(security_context=context)


def pod_security(kubelet: Kubelet, **fields: object) -> cri.PodSandboxConfig:
    context = cri.LinuxSandboxSecurityContext()
    for name, value in fields.items():
        setattr(context, name, value)
    return kubelet.pod_config(linux=cri.LinuxPodSandboxConfig(security_context=context))


async def running_container(
    kubelet: Kubelet, pod: Pod, name: str, options: Options | None = None, *, privileged: bool = False
) -> str:
    config = kubelet.container_config(name=name, linux=security(options, privileged=privileged))
    return await kubelet.run(pod, config)


async def process_label(kubelet: Kubelet, container: str, process: str = "self") -> str:
    """What the kernel says about a process in a container, by default one that is run there."""
    return (await kubelet.exec(container, "cat", f"/proc/{process}/attr/current")).stdout.decode().strip("\0\n")


async def mount_labels(kubelet: Kubelet, container: str) -> dict[str, str]:
    """The one label that all files of a mount have, by where it is in a container."""
    mounts = (await kubelet.exec(container, "cat", "/proc/self/mounts")).stdout.decode().splitlines()
    found = {line.split()[1]: re.search(r'[ ,]context="?([^" ]+)', line) for line in mounts}
    return {where: match[1] for where, match in found.items() if match}


async def test_containers_have_the_policys_labels_with_a_level_that_is_their_pods_alone(kubelet: Kubelet) -> None:
    levels: list[str] = []
    for _ in range(2):
        pod = await kubelet.run_pod()
        containers = [await running_container(kubelet, pod, name) for name in ("one", "other")]
        of_pod = set()
        for container in containers:
            kind, level = parted(await process_label(kubelet, container))
            assert kind == policys("process")
            assert await process_label(kubelet, container, "1") == f"{kind}:{level}"
            mounted = await mount_labels(kubelet, container)
            assert mounted["/"] == mounted["/dev"] == f"{policys('file')}:{level}"
            of_pod.add(level)
        assert len(of_pod) == 1, "containers of a pod share its level"
        levels += of_pod
    assert all(LEVEL.fullmatch(level) for level in levels)
    assert levels[0] != levels[1]


async def test_options_are_taken_and_a_container_without_any_takes_its_pods(kubelet: Kubelet) -> None:
    asked = Options(user="system_u", role="system_r", type=OTHER, level="s0:c7,c8")
    pod = await kubelet.run_pod(pod_security(kubelet, selinux_options=asked))
    inherits = await running_container(kubelet, pod, "inherits")
    assert await process_label(kubelet, inherits) == f"system_u:system_r:{OTHER}:s0:c7,c8"
    assert (await mount_labels(kubelet, inherits))["/"] == f"{policys('file')}:s0:c7,c8"
    chooses = await running_container(kubelet, pod, "chooses", Options(level="s0:c7,c9"))
    assert await process_label(kubelet, chooses) == f"{policys('process')}:s0:c7,c9"
    assert (await mount_labels(kubelet, chooses))["/"] == f"{policys('file')}:s0:c7,c9"


async def test_a_type_that_the_policy_does_not_know_is_an_error_and_nothing_runs(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    container = await kubelet.create(pod, kubelet.container_config(linux=security(Options(type="no_such_type_t"))))
    with pytest.raises(GRPCError, match="invalid argument"):
        await kubelet.start(container)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_EXITED


async def test_a_privileged_container_has_the_label_of_who_starts_it_and_its_files_are_labelled(
    kubelet: Kubelet,
) -> None:
    pod = await kubelet.run_pod(pod_security(kubelet, privileged=True))
    container = await running_container(kubelet, pod, "main", privileged=True)
    assert await process_label(kubelet, container) == our_label()
    assert parted((await mount_labels(kubelet, container))["/"])[0] == policys("file")


async def test_a_source_is_relabelled_where_that_is_asked_for_and_what_its_links_lead_to_never(
    kubelet: Kubelet, tmp_path: Path
) -> None:
    for name in ("asked", "not-asked", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    (tmp_path / "asked" / "link").symlink_to(tmp_path / "outside" / "file")
    others = [tmp_path, *(tmp_path / name for name in ("not-asked", "not-asked/file", "outside", "outside/file"))]
    before = [label_of(path) for path in others]
    pod = await kubelet.run_pod()
    mounts = [
        cri.Mount(container_path=f"/{name}", host_path=str(tmp_path / name), selinux_relabel=name == "asked")
        for name in ("asked", "not-asked")
    ]
    container = await kubelet.run(pod, kubelet.container_config(mounts=mounts))
    _, level = parted(await process_label(kubelet, container))
    for path in (tmp_path / "asked", tmp_path / "asked" / "file"):
        assert label_of(path) == f"{policys('file')}:{level}"
    assert [label_of(path) for path in others] == before
