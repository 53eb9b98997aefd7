"""`cri-shim timeline`: where the time of a pod's start went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cri_shim.cli.endpoint import endpoint_option
from cri_shim.cli.failure import plainly

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri
    from cri_shim.cli.cri_client import CriClient


@click.command(short_help="Show where the time of a pod's start went.")
@endpoint_option
@click.option("--image", metavar="NAME", help="Draw the last pull of this image instead.")
@click.argument("pod", required=False, default="")
def command(endpoint: str, image: str | None, pod: str) -> None:
    """Draw the start of POD and of its containers as a waterfall: which millisecond went to what.

    POD is a pod's name, NAMESPACE/NAME, or the beginning of its id; without it, the pod that was started last. Only
    what cri-shim has started or pulled since its own start is known. Exits with 1 when there is no such pod or image.
    """
    import anyio  # noqa: PLC0415  (--help should not wait for it)

    with plainly():
        click.echo(anyio.run(_of_image, endpoint, image) if image else anyio.run(_of_pod, endpoint, pod), nl=False)


async def _of_image(endpoint: str, wanted: str) -> str:
    from cri_shim.api.runtime import v1 as cri  # noqa: PLC0415  (as above)
    from cri_shim.cli.cri_client import connect  # noqa: PLC0415  (as above)
    from cri_shim.cli.drawn_timelines import drawn  # noqa: PLC0415  (as above)
    from cri_shim.errors import NotFound  # noqa: PLC0415  (as above)

    async with connect(endpoint) as client:
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=wanted), verbose=True)
        answer = await client.images.image_status(request)
    if answer.image is None:
        raise NotFound(f"no image is called {wanted!r}: give a name of it, or its id")
    return f"{click.style(wanted, bold=True)}  {answer.image.id[:19]}\n\n{drawn([answer.info])}"


async def _of_pod(endpoint: str, wanted: str) -> str:
    from cri_shim.api.runtime import v1 as cri  # noqa: PLC0415  (as above)
    from cri_shim.cli.cri_client import connect  # noqa: PLC0415  (as above)
    from cri_shim.cli.drawn_timelines import drawn  # noqa: PLC0415  (as above)

    async with connect(endpoint) as client:
        found = await _find(client, wanted)
        request = cri.PodSandboxStatusRequest(pod_sandbox_id=found.id, verbose=True)
        infos = [(await client.runtime.pod_sandbox_status(request)).info]
        of_pod = cri.ListContainersRequest(filter=cri.ContainerFilter(pod_sandbox_id=found.id))
        for container in (await client.runtime.list_containers(of_pod)).containers:
            of_container = cri.ContainerStatusRequest(container_id=container.id, verbose=True)
            infos.append((await client.runtime.container_status(of_container)).info)
    return f"{click.style(_name(found), bold=True)}  {found.id[:13]}\n\n{drawn(infos)}"


async def _find(client: CriClient, wanted: str) -> cri.PodSandbox:
    """The newest pod that `wanted` means. Raises NotFound."""
    from cri_shim.api.runtime import v1 as cri  # noqa: PLC0415  (as above)
    from cri_shim.errors import NotFound  # noqa: PLC0415  (as above)

    pods = (await client.runtime.list_pod_sandbox(cri.ListPodSandboxRequest())).items
    found = [pod for pod in pods if _is_meant(pod, wanted)]
    if not found:
        raise NotFound(
            f"no pod is called {wanted!r}: give its name, or the beginning of its id" if wanted else "no pod"
        )
    return max(found, key=lambda pod: pod.created_at)


def _is_meant(pod: cri.PodSandbox, wanted: str) -> bool:
    name = pod.metadata.name if pod.metadata else ""
    return not wanted or wanted in (name, _name(pod)) or pod.id.startswith(wanted)


def _name(pod: cri.PodSandbox) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}" if pod.metadata else pod.id
