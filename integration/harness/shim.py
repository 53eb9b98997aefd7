"""cri-shim in a node, as a user runs it: `cri-shim serve` beside containerd, from the source tree or from a wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from integration.harness import cache, probes, rootfs
from integration.harness.containerd import MAIN
from integration.harness.daemon import Daemon
from integration.harness.guardian import PROJECT
from integration.harness.node import Bind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from integration.harness.node import Node

SOCKET: Final = "/run/cri-shim/cri-shim.sock"
LOG: Final = "/var/log/cri-shim.log"
_SOURCE: Final = "/usr/src/cri-shim"
_BYTECODE: Final = "/var/cache/cri-shim/bytecode"


def source_binds() -> tuple[Bind, ...]:
    """What a node shows of the host so that cri-shim runs from the source tree.

    The tree is read-only; the byte code of the node's Python goes into the cache, where the next node finds it.
    """
    bytecode = cache.cache_directory() / "bytecode"
    bytecode.mkdir(exist_ok=True)
    return Bind(str(PROJECT), _SOURCE), Bind(str(bytecode), _BYTECODE, readonly=False)


def source(*, from_wheel: bool) -> dict[str, str]:
    """What a node's Python needs to find cri-shim."""
    return {} if from_wheel else {"PYTHONPATH": _SOURCE, "PYTHONPYCACHEPREFIX": _BYTECODE}


def command(*arguments: str) -> list[str]:
    """`cri-shim` with these arguments, as it is run in a node."""
    return [f"{rootfs.PYTHON}/bin/python", "-m", "cri_shim", *arguments]


class Shim:
    """The cri-shim of one node: `daemon` starts, kills and restarts it."""

    def __init__(
        self,
        node: Node,
        *,
        from_wheel: bool = False,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`arguments` are added to `cri-shim serve`, `environment` to the process's."""
        self.node = node
        settings = ("--config", MAIN.config, "--containerd-address", MAIN.socket, "--listen", f"unix://{SOCKET}")
        self.daemon = Daemon(
            node,
            command("serve", *settings, *arguments),
            LOG,
            lambda: probes.serves_cri(self.socket),
            environment={**source(from_wheel=from_wheel), **(environment or {})},
        )

    @property
    def socket(self) -> Path:
        """Its socket as the host sees it."""
        return self.node.path(SOCKET)
