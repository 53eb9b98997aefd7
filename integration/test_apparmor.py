"""AppArmor where the node has it: which profile a container runs under, and what that profile keeps it from.

Profiles are the kernel's, not a node's: so only where this machine is the node (integration/guest).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from integration.harness import this_machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet, Pod

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not this_machine.wanted(), reason="profiles would be loaded into this machine's kernel"),
]

Context = cri.LinuxContainerSecurityContext
Kinds = cri.SecurityProfileProfileType
DEFAULT = "cri-containerd.apparmor.d"
OWN = "cri-shim-test"
OWN_TEXT = f"""
profile {OWN} flags=(attach_disconnected,mediate_deleted) {{
  file,
  capability,
  signal,
  deny /forbidden/** w,
}}
"""
MOUNT = "mkdir -p /mounted && mount -t tmpfs none /mounted"
CURRENT = "cat /proc/self/attr/current"


def of(kind: Kinds, reference: str = "") -> cri.SecurityProfile:
    return cri.SecurityProfile(profile_type=kind, localhost_ref=reference)


def may_mount(apparmor: cri.SecurityProfile | None) -> Context:
    """The capability and no seccomp filter: only AppArmor is left to say no."""
    return Context(
        apparmor=apparmor,
        seccomp=of(Kinds.Unconfined),
        capabilities=cri.Capability(add_capabilities=["SYS_ADMIN"]),
    )


@pytest.fixture
def own_profile(running: RunningNode) -> Iterator[str]:
    """A profile of the operator's."""
    running.node.write("/run/own-profile", OWN_TEXT)
    running.node.run(["apparmor_parser", "-Kr", "/run/own-profile"])
    yield OWN
    running.node.run(["apparmor_parser", "-R", "/run/own-profile"])


async def running_container(kubelet: Kubelet, pod: Pod, name: str, context: Context) -> str:
    linux = cri.LinuxContainerConfig(security_context=context)
    return await kubelet.run(pod, kubelet.container_config(name=name, linux=linux))


async def tries(kubelet: Kubelet, container: str, script: str) -> bool:
    """Whether a command succeeds in a container."""
    return (await kubelet.exec(container, "sh", "-c", script)).exit_code == 0


async def confinement(kubelet: Kubelet, container: str) -> str:
    """What the kernel says about a process that is started in a container."""
    return (await kubelet.exec(container, "sh", "-c", CURRENT)).stdout.decode().strip("\0\n")


def loaded(running: RunningNode, name: str) -> bool:
    return f"{name} (enforce)" in running.node.path("/sys/kernel/security/apparmor/profiles").read_text().splitlines()


async def test_a_container_runs_under_the_default_profile_and_it_is_enforced(
    kubelet: Kubelet, running: RunningNode
) -> None:
    pod = await kubelet.run_pod()
    asked = (None, of(Kinds.RuntimeDefault))
    for number, profile in enumerate(asked):
        container = await running_container(kubelet, pod, f"c{number}", may_mount(profile))
        assert await confinement(kubelet, container) == f"{DEFAULT} (enforce)", profile
    assert loaded(running, DEFAULT)
    assert not await tries(kubelet, container, MOUNT)
    assert not await tries(kubelet, container, "echo x > /proc/sys/kernel/hostname")
    assert not await tries(kubelet, container, "head -c 1 /proc/kcore")
    assert not await tries(
        kubelet, container, "ls /sys/kernel/security/apparmor/profiles && cat /sys/kernel/security/lsm"
    )
    assert await tries(kubelet, container, "echo x > /written && sleep 1000 & kill $!")
    await kubelet.stop(container, timeout=30)


async def test_an_unconfined_container_may_what_its_capabilities_allow(kubelet: Kubelet) -> None:
    context = may_mount(of(Kinds.Unconfined))
    container = await running_container(kubelet, await kubelet.run_pod(), "main", context)
    assert await confinement(kubelet, container) == "unconfined"
    assert await tries(kubelet, container, f"{MOUNT} && umount /mounted")


async def test_a_profile_of_the_nodes_is_in_force_for_the_container_and_for_what_is_run_in_it(
    kubelet: Kubelet, own_profile: str
) -> None:
    pod = await kubelet.run_pod()
    for name, context in (
        ("field", Context(apparmor=of(Kinds.Localhost, own_profile))),
        ("prefixed", Context(apparmor=of(Kinds.Localhost, f"localhost/{own_profile}"))),
    ):
        container = await running_container(kubelet, pod, name, context)
        assert await confinement(kubelet, container) == f"{OWN} (enforce)"
        assert await tries(kubelet, container, "mkdir /forbidden")
        assert not await tries(kubelet, container, "echo x > /forbidden/file")
        assert await tries(kubelet, container, "echo x > /allowed")


async def test_a_profile_that_is_not_loaded_is_an_error_by_name_and_nothing_is_made(kubelet: Kubelet) -> None:
    pod = await kubelet.run_pod()
    with pytest.raises(GRPCError, match="apparmor profile not found no-such-profile"):
        await running_container(kubelet, pod, "main", Context(apparmor=of(Kinds.Localhost, "no-such-profile")))
    assert await kubelet.list_containers() == []


async def test_the_default_profile_is_loaded_again_when_somebody_took_it_away(
    kubelet: Kubelet, running: RunningNode
) -> None:
    pod = await kubelet.run_pod()
    await kubelet.create(pod, kubelet.container_config(name="before"))
    assert loaded(running, DEFAULT)
    running.node.write("/run/removed", f"profile {DEFAULT} {{}}\n")
    running.node.run(["apparmor_parser", "-R", "/run/removed"])
    assert not loaded(running, DEFAULT)
    container = await running_container(kubelet, pod, "after", Context())
    assert await confinement(kubelet, container) == f"{DEFAULT} (enforce)"


async def test_a_privileged_container_is_unconfined_unless_a_profile_of_the_nodes_is_asked_for(
    kubelet: Kubelet, own_profile: str
) -> None:
    linux = cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(privileged=True))
    pod = await kubelet.run_pod(kubelet.pod_config(linux=linux))
    for name, profile, expected in (
        ("none", None, "unconfined"),
        ("default", of(Kinds.RuntimeDefault), "unconfined"),
        ("own", of(Kinds.Localhost, own_profile), f"{OWN} (enforce)"),
    ):
        container = await running_container(kubelet, pod, name, Context(privileged=True, apparmor=profile))
        assert await confinement(kubelet, container) == expected, name
