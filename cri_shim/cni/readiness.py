"""Whether pods can get a network: a configuration, and plugins that say so when they can be asked (STATUS)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from cri_shim import errors
from cri_shim.cni import chain
from cri_shim.observe.containerd_names import STATUS, network_operation

if TYPE_CHECKING:
    from cri_shim.cni.configuration import Configuration
    from cri_shim.cni.plugin import Runner

_FRESH: Final = 4.0  # seconds; kubelet asks every 5


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """Whether the network is ready, and why not; ready with a message is a warning for the operator."""

    ready: bool
    message: str = ""


class Readiness:
    """Answers from memory, at once; a question makes `keep_fresh` look again if the last look is some seconds old."""

    def __init__(self, configuration: Configuration, runner: Runner) -> None:
        self._configuration = configuration
        self._runner = runner
        self._asked = anyio.Event()
        self._plugins_say = ""

    def status(self) -> NetworkStatus:
        """The answer as of the last look."""
        self._asked.set()
        loaded = self._configuration.loaded
        if not loaded.networks:
            return NetworkStatus(ready=False, message=f"cni plugin not initialized: {loaded.problem}")
        if self._plugins_say:
            return NetworkStatus(ready=False, message=self._plugins_say)
        if loaded.problem:
            names = ", ".join(network.name for network in loaded.networks)
            return NetworkStatus(ready=True, message=f"{loaded.problem}; {names} stays in force as it was read before")
        return NetworkStatus(ready=True)

    async def look(self) -> None:
        """Read a changed directory, and ask the plugins of each network that can be asked."""
        await self._configuration.reload_if_changed()
        say = ""
        for network in self._configuration.loaded.networks:
            try:
                with network_operation(STATUS):
                    await chain.status(self._runner, network)
            except errors.CriError as error:
                say = f'network "{network.name}" is not ready: {error}'
                break
        self._plugins_say = say

    async def keep_fresh(self) -> None:
        """Look after each question, at most every few seconds; for ever."""
        while True:
            await self._asked.wait()
            started = time.monotonic()
            await self.look()
            self._asked = anyio.Event()
            await anyio.sleep(max(0.0, started + _FRESH - time.monotonic()))
