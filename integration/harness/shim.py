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
        source = {} if from_wheel else {"PYTHONPATH": _SOURCE, "PYTHONPYCACHEPREFIX": _BYTECODE}
        argv = [
            f"{rootfs.PYTHON}/bin/python",
            "-m",
            "cri_shim",
            "serve",
            "--config",
            MAIN.config,
            "--containerd-address",
            MAIN.socket,
            "--listen",
            f"unix://{SOCKET}",
            *arguments,
        ]
        self.daemon = Daemon(
            node, argv, LOG, lambda: probes.serves_cri(self.socket), environment={**source, **(environment or {})}
        )

    @property
    def socket(self) -> Path:
        """Its socket as the host sees it."""
        return self.node.path(SOCKET)
