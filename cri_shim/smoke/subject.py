"""What a check works with: the endpoint, and pods and containers asked for as a kubelet asks for them.

Each check has a `Subject` of its own, which knows what was made through it, and removes it in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
from grpclib.exceptions import GRPCError

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke import configs, cri_log
from cri_shim.smoke.configs import SLEEP, Context
from cri_shim.smoke.expect import eventually, present, skip_unless
from cri_shim.smoke.image.own import DEFAULTS
from cri_shim.smoke.session import Pod, Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from cri_shim.smoke.image.own import OwnImages
    from cri_shim.smoke.place import Place

_EXEC_SECONDS: Final = 20


class Subject:
    """The endpoint as one check sees it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.endpoint = session.endpoint
        self.runtime = session.endpoint.runtime
        self.images = session.endpoint.images
        self.image = session.image
        self._pods: list[Pod] = []
        self._containers: list[str] = []  # in the pod that is shared

    @property
    def place(self) -> Place:
        """Where the runtime's files and network are."""
        return self.endpoint.place

    @property
    def own(self) -> OwnImages:
        """The run's own images. Raises Skipped when it has none."""
        skip_unless(self.session.own, "it takes the smoke test's own image, and --image names another")
        return present(self.session.own, "images")

    # Pods

    def pod_config(self, name: str = "pod", **fields: Any) -> cri.PodSandboxConfig:
        """As `configs.pod_config` makes one for this run."""
        return configs.pod_config(self.session, name, **fields)

    async def pod(self, config: cri.PodSandboxConfig | None = None) -> Pod:
        """A pod of the check's own."""
        pod = await self._run_pod(config or self.pod_config())
        self._pods.append(pod)
        return pod

    async def shared_pod(self) -> Pod:
        """The pod that all checks use which ask nothing of it."""
        async with self.session.sharing:
            if self.session.shared is None:
                self.session.shared = await self._run_pod(self.pod_config("shared"))
            return self.session.shared

    async def shared_container(self) -> str:
        """A container that runs in it."""
        pod = await self.shared_pod()
        async with self.session.sharing:
            if not self.session.shared_container:
                container = await self.create(self.container_config(SLEEP, name="shared"), pod, kept=True)
                await self.start(container)
                self.session.shared_container = container
            return self.session.shared_container

    async def _run_pod(self, config: cri.PodSandboxConfig) -> Pod:
        await self.place.path(config.log_directory).mkdir(parents=True, exist_ok=True)
        request = cri.RunPodSandboxRequest(config=config, runtime_handler=self.session.handler)
        with self._whole():
            return Pod((await self.runtime.run_pod_sandbox(request)).pod_sandbox_id, config)

    def pods_made(self) -> set[str]:
        """The ids of the check's own pods."""
        return {pod.id for pod in self._pods}

    async def stop_pod(self, pod: Pod) -> None:
        """StopPodSandbox."""
        await self.runtime.stop_pod_sandbox(cri.StopPodSandboxRequest(pod_sandbox_id=pod.id))

    async def remove_pod(self, pod: Pod) -> None:
        """RemovePodSandbox."""
        await self.runtime.remove_pod_sandbox(cri.RemovePodSandboxRequest(pod_sandbox_id=pod.id))

    async def pod_status(self, pod: Pod) -> cri.PodSandboxStatus:
        """Its status."""
        answer = await self.runtime.pod_sandbox_status(cri.PodSandboxStatusRequest(pod_sandbox_id=pod.id))
        return present(answer.status, "a status")

    async def address(self, pod: Pod) -> str:
        """The pod's IP address."""
        network = present((await self.pod_status(pod)).network, "a network")
        return present(network.ip or None, "an IP address")

    async def list_pods(self, **wanted: Any) -> list[cri.PodSandbox]:
        """The pods that a filter of these fields finds, among all on the node."""
        request = cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(**wanted))
        return (await self.runtime.list_pod_sandbox(request)).items

    # Containers

    def container_config(
        self, command: Sequence[str] = SLEEP, name: str = "main", context: Context | None = None, **fields: Any
    ) -> cri.ContainerConfig:
        """As `configs.container_config` makes one for this run."""
        return configs.container_config(self.session, command, name, context, **fields)

    async def create(self, config: cri.ContainerConfig, pod: Pod | None = None, *, kept: bool = False) -> str:
        """CreateContainer, in the shared pod unless in another; the container's id. One that is `kept` stays."""
        inside = pod or await self.shared_pod()
        request = cri.CreateContainerRequest(pod_sandbox_id=inside.id, config=config, sandbox_config=inside.config)
        with self._whole():
            container = (await self.runtime.create_container(request)).container_id
        if inside is self.session.shared and not kept:
            self._containers.append(container)
        return container

    async def start(self, container: str) -> None:
        """StartContainer."""
        with self._whole():
            await self.runtime.start_container(cri.StartContainerRequest(container_id=container))

    async def run(self, config: cri.ContainerConfig, pod: Pod | None = None) -> str:
        """Create and start; the container's id."""
        container = await self.create(config, pod)
        await self.start(container)
        return container

    async def stop(self, container: str, timeout: int = 0) -> None:
        """StopContainer."""
        await self.runtime.stop_container(cri.StopContainerRequest(container_id=container, timeout=timeout))

    async def remove(self, container: str) -> None:
        """RemoveContainer."""
        await self.runtime.remove_container(cri.RemoveContainerRequest(container_id=container))

    async def status(self, container: str) -> cri.ContainerStatus:
        """ContainerStatus."""
        answer = await self.runtime.container_status(cri.ContainerStatusRequest(container_id=container))
        return present(answer.status, "a status")

    async def list_containers(self, **wanted: Any) -> list[cri.Container]:
        """The containers that a filter of these fields finds, among all on the node."""
        request = cri.ListContainersRequest(filter=cri.ContainerFilter(**wanted))
        return (await self.runtime.list_containers(request)).containers

    async def exited(self, container: str, seconds: float = 20) -> cri.ContainerStatus:
        """The status of a container once it has ended."""

        async def ended() -> cri.ContainerStatus | None:
            status = await self.status(container)
            return status if status.state == cri.ContainerState.CONTAINER_EXITED else None

        return await eventually(ended, "the container's end", seconds)

    async def exec(self, container: str, *command: str, timeout: int = _EXEC_SECONDS) -> cri.ExecSyncResponse:
        """ExecSync."""
        request = cri.ExecSyncRequest(container_id=container, cmd=list(command), timeout=timeout)
        return await self.runtime.exec_sync(request)

    async def shell(self, container: str, script: str) -> str:
        """What a script says in a container, both outputs, without the line's end."""
        answer = await self.exec(container, "sh", "-c", f"exec 2>&1; {script}")
        return answer.stdout.decode(errors="replace").rstrip("\n")

    async def needs(self, program: str) -> None:
        """Raise Skipped unless the image has this program."""
        answer = await self.exec(await self.shared_container(), "sh", "-c", f"command -v {program}")
        skip_unless(answer.exit_code == 0, f"the image has no {program}")

    async def namespace_of(self, container: str, kind: str) -> str:
        """The namespace of a kind (`net`, `pid`, …) in which a container's processes are, as /proc tells it."""
        await self.needs("readlink")
        return await self.shell(container, f"readlink /proc/self/ns/{kind}")

    async def says(
        self, script: str, context: Context | None = None, pod: Pod | None = None, **fields: Any
    ) -> list[str]:
        """The lines that a container of its own logs whose command is this shell script, once it has ended."""
        command = fields.pop("command", ["sh", "-c", f"exec 2>&1; {script}"])
        container = await self.run(self.container_config(command, context=context, **fields), pod)
        await self.exited(container)
        return cri_log.text(await self.log(container))

    async def process_status(self, context: Context, pod: Pod | None = None, image: str = "") -> dict[str, list[str]]:
        """/proc/self/status of a container with this context, by field."""
        lines = await self.says("cat /proc/self/status", context, pod, image=image or self.image)
        return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}

    async def defaults_image(self) -> str:
        """An own image whose configuration says all that one can say; it is pulled."""
        name = self.own.name(DEFAULTS)
        await self.images.pull_image(cri.PullImageRequest(image=cri.ImageSpec(image=name)))
        return name

    async def says_first(self, container: str, line: str) -> None:
        """Wait for a line in a container's log: what its script says when it has got so far."""

        async def said() -> bool | None:
            return line in cri_log.text(await self.log(container)) or None

        await eventually(said, f"{line!r} in the container's log")

    async def log(self, container: str) -> list[cri_log.Entry]:
        """The entries of a container's log file."""
        path = (await self.status(container)).log_path
        return cri_log.parse(await self.place.path(path).read_bytes())

    async def node_directory(self, name: str) -> anyio.Path:
        """A new directory on the node, as it is seen from here."""
        path = self.place.path(self.node_path(name))
        await path.mkdir(parents=True)
        return path

    def node_path(self, name: str) -> str:
        """The path of such a directory on the node."""
        return f"{self.session.directory}/{name}"

    def _whole(self) -> AbstractContextManager[anyio.CancelScope]:
        """Let a call come to its end, though its check is cut off: not every runtime undoes what is abandoned."""
        return anyio.fail_after(self.session.patience, shield=True)

    async def clean_up(self) -> None:
        """Remove what the check has made; what can't be is tried again at the end of the run."""
        for container in self._containers:
            await _tolerantly(self.stop, container)
            await _tolerantly(self.remove, container)
        for pod in self._pods:
            await _tolerantly(self.stop_pod, pod)
            await _tolerantly(self.remove_pod, pod)


async def _tolerantly(call: Any, argument: object) -> None:
    try:
        await call(argument)
    except GRPCError:
        return  # the run's end looks for what is left, and says so
