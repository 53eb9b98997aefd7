"""Which namespaces containers share with each other and with the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import Context, pod_linux
from cri_shim.smoke.expect import equal, skip_unless, that

if TYPE_CHECKING:
    from cri_shim.smoke.session import Pod
    from cri_shim.smoke.subject import Subject

namespaces = Capability("namespaces")
Mode = cri.NamespaceMode
Options = cri.NamespaceOption
_FIRST = "cat /proc/1/comm"


async def _container(s: Subject, options: Options, pod: Pod | None = None) -> str:
    return await s.run(s.container_config(context=Context(namespace_options=options)), pod)


async def _namespaces(s: Subject, container: str, *kinds: str) -> list[str]:
    return [await s.namespace_of(container, kind) for kind in kinds]


@namespaces.check
async def containers_see_only_themselves(s: Subject) -> None:
    """A container with a PID namespace of its own has its command as its first process."""
    container = await _container(s, Options(pid=Mode.CONTAINER))
    equal("the first process", "sleep", await s.shell(container, _FIRST))


@namespaces.check
async def pod_can_share_its_processes(s: Subject) -> None:
    """Containers with the pod's PID namespace see each other."""
    shared = Options(pid=Mode.POD)
    pod = await s.pod(s.pod_config(linux=pod_linux(namespace_options=shared)))
    one, other = await _container(s, shared, pod), await _container(s, shared, pod)
    equal("the namespace", await _namespaces(s, one, "pid"), await _namespaces(s, other, "pid"))
    first = await s.shell(one, _FIRST)
    that(first not in ("sleep", "sh", "cat"), "the sandbox's own process as the first", first)


@namespaces.check
async def container_can_join_another(s: Subject) -> None:
    """A container with a target has the target's PID namespace, as kubectl debug asks for it."""
    target = await _container(s, Options(pid=Mode.CONTAINER))
    joined = await _container(s, Options(pid=Mode.TARGET, target_id=target))
    equal("the namespace", await _namespaces(s, target, "pid"), await _namespaces(s, joined, "pid"))


@namespaces.check
async def node_can_share_its_processes(s: Subject) -> None:
    """A container with the node's PID namespace is in it."""
    shared = Options(pid=Mode.NODE)
    pod = await s.pod(s.pod_config(linux=pod_linux(namespace_options=shared)))
    container = await _container(s, shared, pod)
    equal("the namespace", [await s.place.namespace("pid")], await _namespaces(s, container, "pid"))


@namespaces.check
async def node_can_share_its_ipc(s: Subject) -> None:
    """A container with the node's IPC namespace is in it."""
    shared = Options(pid=Mode.CONTAINER, ipc=Mode.NODE)
    pod = await s.pod(s.pod_config(linux=pod_linux(namespace_options=shared)))
    container = await _container(s, shared, pod)
    equal("the namespace", [await s.place.namespace("ipc")], await _namespaces(s, container, "ipc"))


@namespaces.check
async def containers_share_network_ipc_and_name(s: Subject) -> None:
    """Containers of a pod share network, IPC and host name with each other and not with the node."""
    kinds = ("net", "ipc", "uts")
    options = Options(pid=Mode.CONTAINER)
    one, other = [await _namespaces(s, await _container(s, options), *kinds) for _ in range(2)]
    equal("the namespaces", one, other)
    node = [await s.place.namespace(kind) for kind in kinds]
    that(not {*one} & {*node}, "none of the node's", one)


@namespaces.check
async def mounts_are_its_own(s: Subject) -> None:
    """Each container has a mount namespace of its own."""
    one, other = [await _namespaces(s, await _container(s, Options(pid=Mode.CONTAINER)), "mnt") for _ in range(2)]
    that(one != other, "two mount namespaces", one)


@namespaces.check
async def users_can_be_the_pods_own(s: Subject) -> None:
    """In a pod with a user namespace, root is an unprivileged user of the node's."""
    handler = s.endpoint.handler(s.session.handler)
    has = handler is not None and handler.features is not None and handler.features.user_namespaces
    skip_unless(has, "the handler has no user namespaces")
    mapping = [cri.IdMapping(host_id=1_000_000, container_id=0, length=65536)]
    users = cri.UserNamespace(mode=Mode.POD, uids=mapping, gids=mapping)
    options = Options(pid=Mode.CONTAINER, userns_options=users)
    pod = await s.pod(s.pod_config(linux=pod_linux(namespace_options=options)))
    said = await s.says("cat /proc/self/uid_map", Context(namespace_options=options), pod)
    equal("the mapping", [["0", "1000000", "65536"]], [line.split() for line in said])
