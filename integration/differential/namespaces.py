"""What is shared: with the pod, with another container, with the node."""

from __future__ import annotations

from typing import Any

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import (
    NODES,
    NODES_NETWORK,
    RUNNING,
    VOLUMES,
    Context,
    Mode,
    Options,
    Pod,
    case,
    mount,
    number,
    pod,
)
from integration.harness.containerd import PAUSE

NODES_PID = pod(namespace_options=Options(network=Mode.NODE, pid=Mode.NODE))
NODES_IPC = pod(namespace_options=Options(network=Mode.NODE, ipc=Mode.NODE))
OWN_PID = pod(namespace_options=Options(network=Mode.NODE, pid=Mode.CONTAINER))


def users(container_id: int = 0, length: int = 65536, count: int = 1, mode: Mode = Mode.POD) -> cri.UserNamespace:
    """A user namespace of the pod's own."""
    mapping = cri.IdMapping(host_id=100_000, container_id=container_id, length=length)
    return cri.UserNamespace(mode=mode, uids=[mapping] * count, gids=[mapping] * count)


def with_users(wanted: cri.UserNamespace, network: Mode = Mode.POD, handler: str = "", **context: Any) -> Pod:
    return pod(handler=handler, namespace_options=Options(network=network, userns_options=wanted), **context)


def inside(wanted: cri.UserNamespace) -> Context:
    return Context(namespace_options=Options(userns_options=wanted))


def shared(**modes: Any) -> Context:
    return Context(namespace_options=Options(**modes))


OWN_USERS = with_users(users())
COPIED = with_users(users(), handler="native")

CASES = (
    case("modes of the pod's", shared()),
    case("the node's network, pids and ipc", shared(network=Mode.NODE, pid=Mode.NODE, ipc=Mode.NODE), pod=NODES),
    case("the pod's modes in a pod with the node's", shared(), pod=NODES),
    case("the node's network", shared(network=Mode.NODE), pod=NODES_NETWORK),
    case("the node's pids", shared(pid=Mode.NODE), pod=NODES_PID),
    case("the node's ipc", shared(ipc=Mode.NODE), pod=NODES_IPC),
    case("pids of its own", shared(pid=Mode.CONTAINER)),
    case("pids of its own, in a pod with such", shared(pid=Mode.CONTAINER), pod=OWN_PID),
    case("the node's modes in a pod with its own", shared(network=Mode.NODE, pid=Mode.NODE, ipc=Mode.NODE)),
    case("the pids of another container", Context(namespace_options=Options(pid=Mode.TARGET, target_id=RUNNING))),
    case(
        "the pids of a container that isn't there",
        Context(namespace_options=Options(pid=Mode.TARGET, target_id="f" * 64)),
    ),
    case("the pids of no container", shared(pid=Mode.TARGET)),
    case("modes that don't fit", shared(network=Mode.CONTAINER, ipc=Mode.TARGET)),
    case("an unknown mode", shared(pid=Mode(9))),
    # ── users ───────────────────────────────────────────────────────────────────────────────────────────────────────
    case("users of its own", inside(users()), pod=OWN_USERS),
    case(
        "users of its own, and a user",
        Context(namespace_options=Options(userns_options=users()), run_as_user=number(3), supplemental_groups=[9]),
        pod=OWN_USERS,
    ),
    case("users of its own, and volumes", inside(users()), pod=OWN_USERS, image=VOLUMES),
    case(
        "users of its own, and a mount with mapped ids",
        inside(users()),
        pod=OWN_USERS,
        mounts=[mount("/a", uid_mappings=users().uids, gid_mappings=users().gids)],
    ),
    case("users of its own, by copies", inside(users()), pod=COPIED, image=PAUSE),
    case("users of its own, by copies of files with more names than one", inside(users()), pod=COPIED),
    case("users of its own on the node's network", inside(users()), pod=with_users(users(), Mode.NODE)),
    case(
        "users of its own, and the pod's is one of them",
        inside(users()),
        pod=with_users(users(), run_as_user=number(3), supplemental_groups=[9]),
    ),
    case("users of its own in a pod without", inside(users())),
    case("other users than the pod's", inside(users(length=1000)), pod=OWN_USERS),
    case("the node's users in a pod with its own", shared(), pod=OWN_USERS),
    case("users of its own without mappings", inside(users(count=0)), pod=with_users(users(count=0))),
    case("users of its own with two mappings", inside(users(count=2)), pod=with_users(users(count=2))),
    case("users of its own with an empty mapping", inside(users(length=0)), pod=with_users(users(length=0))),
    case("users of a container's own", inside(users(mode=Mode.CONTAINER)), pod=with_users(users(mode=Mode.CONTAINER))),
    case("the node's users with mappings", inside(users(mode=Mode.NODE)), pod=with_users(users(mode=Mode.NODE))),
    case(
        "the node's users, said", Context(namespace_options=Options(userns_options=cri.UserNamespace(mode=Mode.NODE)))
    ),
)
