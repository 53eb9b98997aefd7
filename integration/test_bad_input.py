"""Bad input: a clear status and text, and nothing left behind (the leak check of the `kubelet` fixture proves it)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from grpclib import GRPCError
from grpclib.const import Status

from cri_shim.api.runtime import v1 as cri

if TYPE_CHECKING:
    from integration.kubelet import Kubelet

pytestmark = pytest.mark.anyio

MISSING = "f" * 64


def of_tmp(**fields: Any) -> cri.Mount:
    return cri.Mount(container_path="/x", host_path="/tmp", **fields)


def secured(**fields: Any) -> dict[str, Any]:
    return {"linux": cri.LinuxContainerConfig(security_context=cri.LinuxContainerSecurityContext(**fields))}


def limited(**fields: Any) -> dict[str, Any]:
    return {"linux": cri.LinuxContainerConfig(resources=cri.LinuxContainerResources(**fields))}


def local(reference: str) -> cri.SecurityProfile:
    return cri.SecurityProfile(profile_type=cri.SecurityProfileProfileType.Localhost, localhost_ref=reference)


async def refused(status: Status, text: str, call: object) -> None:
    """The call ends with this status, and its text says so much."""
    with pytest.raises(GRPCError) as caught:
        await call  # type: ignore[misc]
    assert caught.value.status is status, caught.value.message
    assert text in (caught.value.message or "")


@pytest.mark.shim_only
async def test_what_is_missing_from_a_request_is_named(kubelet: Kubelet) -> None:
    """Improvement: containerd answers Unknown, or takes it."""
    run, invalid = kubelet.runtime, Status.INVALID_ARGUMENT
    pod = await kubelet.run_pod()
    container = await kubelet.run(pod)
    no_metadata = cri.ContainerConfig(image=cri.ImageSpec(image="x"))
    no_image = cri.ContainerConfig(metadata=cri.ContainerMetadata(name="x"))
    await refused(invalid, "config.metadata", run.run_pod_sandbox(cri.RunPodSandboxRequest()))
    for config, what in ((None, "config.metadata"), (no_metadata, "config.metadata"), (no_image, "config.image")):
        request = cri.CreateContainerRequest(pod_sandbox_id=pod.id, config=config, sandbox_config=pod.config)
        await refused(invalid, what, run.create_container(request))
    request = cri.CreateContainerRequest(pod_sandbox_id=pod.id, config=kubelet.container_config())
    await refused(invalid, "sandbox_config.metadata", run.create_container(request))
    await refused(invalid, "cmd is empty", kubelet.exec(container))
    await refused(invalid, "cmd[1]", kubelet.exec(container, "echo", "a\0b"))
    await refused(invalid, "image.image is missing", kubelet.images.pull_image(cri.PullImageRequest()))
    await refused(invalid, "id is empty", kubelet.status(""))


async def test_ids_that_match_nothing_are_not_found_where_a_state_is_asked_for(kubelet: Kubelet) -> None:
    run = kubelet.runtime
    await refused(Status.NOT_FOUND, MISSING, kubelet.status(MISSING))
    await refused(Status.NOT_FOUND, MISSING, kubelet.start(MISSING))
    await refused(Status.NOT_FOUND, MISSING, kubelet.exec(MISSING, "true"))
    request = cri.PodSandboxStatusRequest(pod_sandbox_id=MISSING)
    await refused(Status.NOT_FOUND, "", run.pod_sandbox_status(request))
    reopen = cri.ReopenContainerLogRequest(container_id=MISSING)
    await refused(Status.NOT_FOUND, "", run.reopen_container_log(reopen))


@pytest.mark.shim_only
async def test_an_id_that_matches_more_than_one_says_how_many(kubelet: Kubelet) -> None:
    """Improvement: containerd answers Unknown. With 17 containers two ids begin alike."""
    pod = await kubelet.run_pod()
    ids = [await kubelet.create(pod, kubelet.container_config(name=f"c{number}")) for number in range(17)]
    first = next(item[0] for item in ids if sum(other[0] == item[0] for other in ids) > 1)
    await refused(Status.INVALID_ARGUMENT, "give more of it", kubelet.status(first))


async def test_an_unknown_handler_is_refused_with_those_there_are(kubelet: Kubelet, endpoint: str) -> None:
    expected = Status.INVALID_ARGUMENT if endpoint == "shim" else Status.UNKNOWN  # improvement
    await refused(expected, 'no runtime for "nonsense" is configured', kubelet.run_pod(handler="nonsense"))


@pytest.mark.shim_only
@pytest.mark.parametrize("path", ["../../escape.log", "/etc/cron.d/evil", "a/../../../b"])
async def test_a_log_outside_of_the_pods_directory_is_refused(kubelet: Kubelet, path: str) -> None:
    """Improvement: containerd writes there, as root."""
    config = kubelet.container_config(log_path=path)
    await refused(Status.INVALID_ARGUMENT, path, kubelet.create(await kubelet.run_pod(), config))


@pytest.mark.shim_only
async def test_users_mounts_and_privileges_that_can_not_be_are_refused_before_anything_is_made(
    kubelet: Kubelet,
) -> None:
    """Improvement: containerd answers Unknown."""
    pod = await kubelet.run_pod()
    context = cri.LinuxContainerSecurityContext(run_as_username="nobody-of-that-name")
    privileged = cri.LinuxContainerSecurityContext(privileged=True)
    for config, text in (
        (kubelet.container_config(linux=cri.LinuxContainerConfig(security_context=context)), "nobody-of-that-name"),
        (kubelet.container_config(linux=cri.LinuxContainerConfig(security_context=privileged)), "privileged"),
        (kubelet.container_config(mounts=[cri.Mount(container_path="/x")]), "host_path"),
        (kubelet.container_config(command=[], image="registry.k8s.io/pause:3.10", args=[]), ""),
    ):
        if text:
            await refused(Status.INVALID_ARGUMENT, text, kubelet.create(pod, config))


@pytest.mark.shim_only
async def test_values_that_can_not_be_are_refused_by_their_field(kubelet: Kubelet) -> None:
    """Improvement: containerd answers Unknown half-way through, or takes them. The whole table is a unit test."""
    mode = cri.NamespaceOption(pid=77)  # type: ignore[arg-type]  # as a client of another version may send
    security = cri.LinuxSandboxSecurityContext(namespace_options=mode)
    pods: tuple[tuple[dict[str, Any], str], ...] = (
        ({"hostname": "h" * 65}, "config.hostname"),
        ({"port_mappings": [cri.PortMapping(protocol=9)]}, "config.port_mappings[0].protocol"),  # type: ignore[arg-type]
        (
            {"linux": cri.LinuxPodSandboxConfig(security_context=security)},
            "namespace_options.pid is 77",
        ),
    )
    for fields, text in pods:
        config = kubelet.pod_config()
        for name, value in fields.items():
            setattr(config, name, value)
        await refused(Status.INVALID_ARGUMENT, text, kubelet.run_pod(config))
    pod = await kubelet.run_pod()
    context = cri.LinuxContainerSecurityContext(namespace_options=mode)
    containers: tuple[tuple[dict[str, Any], str], ...] = (
        ({"command": ["sh", "a\0b"]}, "config.command[1]"),
        ({"envs": [cri.KeyValue("A=B", b"")]}, "config.envs[0].key"),
        ({"stop_signal": 999}, "config.stop_signal 999"),
        ({"mounts": [of_tmp(mount_options=["rw"])]}, "config.mounts[0].mount_options has 'rw'"),
        ({"mounts": [of_tmp(), of_tmp(propagation=9)]}, "config.mounts[1].propagation is 9"),
        ({"mounts": [of_tmp(uid_mappings=[cri.IdMapping(length=1)])]}, "config.mounts[0].gid_mappings is empty"),
        ({"devices": [cri.Device("/dev/x", "/dev/null", "rx")]}, "config.devices[0].permissions is 'rx'"),
        ({"devices": [cri.Device("/dev/x", "/no/such", "r")]}, "host_path '/no/such' can't be had"),
        (secured(masked_paths=["proc"]), "config.linux.security_context.masked_paths[0] is 'proc'"),
        (secured(run_as_user=cri.Int64Value(value=-1)), "config.linux.security_context.run_as_user"),
        (secured(run_as_group=cri.Int64Value(value=1)), "config.linux.security_context.run_as_group is 1"),
        (secured(supplemental_groups=[-5]), "config.linux.security_context.supplemental_groups"),
        (secured(seccomp=local("/no/such")), "/no/such"),
        (secured(seccomp=local("")), "seccomp.localhost_ref is empty"),
        (limited(cpu_quota=5), "config.linux.resources.cpu_quota is 5"),
        (limited(oom_score_adj=1001), "config.linux.resources.oom_score_adj is 1001"),
        (limited(memory_limit_in_bytes=8, memory_swap_limit_in_bytes=7), "memory_swap_limit_in_bytes is 7"),
        ({"linux": cri.LinuxContainerConfig(security_context=context)}, "namespace_options.pid is 77"),
    )
    for fields, text in containers:
        await refused(Status.INVALID_ARGUMENT, text, kubelet.create(pod, kubelet.container_config(**fields)))


@pytest.mark.shim_only
@pytest.mark.skipif(os.path.exists("/sys/kernel/security/apparmor"), reason="this node enforces AppArmor profiles")
async def test_a_profile_that_the_node_can_not_enforce_is_refused_with_the_reason(kubelet: Kubelet) -> None:
    """Improvement: containerd answers Unknown."""
    pod = await kubelet.run_pod()
    context = secured(apparmor=local("mine"))
    await refused(
        Status.INVALID_ARGUMENT, "apparmor is not supported", kubelet.create(pod, kubelet.container_config(**context))
    )


async def test_a_command_that_does_not_exist_fails_the_start_and_says_so(kubelet: Kubelet) -> None:
    container = await kubelet.create(await kubelet.run_pod(), kubelet.container_config(["/no/such/command"]))
    await refused(Status.UNKNOWN, "/no/such/command", kubelet.start(container))
    status = await kubelet.status(container)
    assert (status.state, status.exit_code, status.reason) == (
        cri.ContainerState.CONTAINER_EXITED,
        128,
        "StartError",
    )
    assert "/no/such/command" in status.message


async def test_a_container_is_started_once_and_executed_in_only_while_it_runs(kubelet: Kubelet) -> None:
    container = await kubelet.create(await kubelet.run_pod())
    await refused(Status.UNKNOWN, "CONTAINER_CREATED", kubelet.exec(container, "true"))
    await kubelet.start(container)
    await refused(Status.UNKNOWN, "CONTAINER_RUNNING", kubelet.start(container))


async def test_a_huge_message_is_refused_and_the_next_call_works(kubelet: Kubelet) -> None:
    config = kubelet.pod_config(labels={"huge": "x" * (17 << 20)})
    await refused(Status.RESOURCE_EXHAUSTED, "larger than max", kubelet.run_pod(config))
    await kubelet.runtime.version(cri.VersionRequest())


async def test_a_name_in_use_is_refused_for_another_pod(kubelet: Kubelet) -> None:
    config = kubelet.pod_config()
    pod = await kubelet.run_pod(config)
    other = cri.PodSandboxConfig(metadata=config.metadata, hostname="another", log_directory=config.log_directory)
    await refused(Status.FAILED_PRECONDITION, pod.id, kubelet.run_pod(other))


@pytest.mark.shim_only
@pytest.mark.parametrize("after", [0.02, 0.06, 0.12])
async def test_a_client_that_hangs_up_leaves_nothing(kubelet: Kubelet, after: float) -> None:
    """Improvement: for containerd the name stays reserved until the abandoned call has been undone."""
    config = kubelet.pod_config()
    with anyio.move_on_after(after):
        await kubelet.run_pod(config)
    pod = await kubelet.run_pod(config)  # waits for the undoing, or finds what was made
    with anyio.move_on_after(after / 2):
        await kubelet.create(pod)
    container = await kubelet.create(pod, kubelet.container_config(name="second"))
    await kubelet.start(container)
    with anyio.move_on_after(after):
        await kubelet.exec(container, "sleep", "30")
    assert (await kubelet.exec(container, "true")).exit_code == 0


@pytest.mark.shim_only
async def test_a_retry_gets_the_answer_of_the_call_in_flight_or_that_was_lost(kubelet: Kubelet) -> None:
    """Improvement: containerd answers "name is reserved"."""
    config = kubelet.pod_config()
    ids: set[str] = set()

    async def run() -> None:
        ids.add((await kubelet.run_pod(config)).id)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(run)
    await run()
    assert len(ids) == 1
    pod = kubelet.pods[0]
    kubelet.pods[:] = [pod]
    containers: set[str] = set()

    async def create() -> None:
        containers.add(await kubelet.create(pod))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(create)
    await create()
    assert len(containers) == 1
    (container,) = containers
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kubelet.start, container)
        tasks.start_soon(kubelet.start, container)
    assert (await kubelet.status(container)).state == cri.ContainerState.CONTAINER_RUNNING


async def test_twenty_pods_at_once_and_lists_beside_them(kubelet: Kubelet) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(kubelet.run_pod)
        with anyio.fail_after(5):
            await kubelet.list_pods()
    assert len(await kubelet.list_pods(cri.PodSandboxFilter())) >= 20
    async with anyio.create_task_group() as tasks:
        for pod in list(kubelet.pods):
            tasks.start_soon(kubelet.remove_pod, pod)
