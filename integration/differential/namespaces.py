"""What is shared: with the pod, with another container, with the node."""

from __future__ import annotations

from typing import Any

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import NODES, NODES_NETWORK, RUNNING, Context, Mode, Options, case, pod

NODES_PID = pod(namespace_options=Options(network=Mode.NODE, pid=Mode.NODE))
NODES_IPC = pod(namespace_options=Options(network=Mode.NODE, ipc=Mode.NODE))
OWN_PID = pod(namespace_options=Options(network=Mode.NODE, pid=Mode.CONTAINER))


def shared(**modes: Any) -> Context:
    return Context(namespace_options=Options(**modes))


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
    case(
        "the node's users, said", Context(namespace_options=Options(userns_options=cri.UserNamespace(mode=Mode.NODE)))
    ),
)
