"""The configuration in force: loaded from the directory, kept when a later load fails, followed as it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from cri_shim.cni import directory, watch
from cri_shim.cni.directory import ConfigurationError, NothingConfigured

if TYPE_CHECKING:
    from cri_shim.cni.network import Network

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The networks in force, and what was wrong at the last load ("" for nothing)."""

    networks: tuple[Network, ...] = ()
    problem: str = ""


class Configuration:
    """The networks of one configuration directory.

    A file that is wrong, or a directory that has vanished, leaves the networks of the last good load in force; a
    directory that is there and empty means that there are none.
    """

    def __init__(self, path: str, max_conf_num: int) -> None:
        self.path = path
        self.max_conf_num = max_conf_num
        self.loaded = Loaded(problem=f"the CNI configuration directory {path} has not been read yet")
        self._seen: directory.Fingerprint | None = None
        self._lock = anyio.Lock()

    async def load(self) -> None:
        """Read the directory now. What is wrong is in `loaded.problem`, not raised."""
        async with self._lock:
            self._seen, result = await anyio.to_thread.run_sync(self._read)
            before, self.loaded = self.loaded, self._judge(result)
        if before != self.loaded:
            self._tell()

    async def reload_if_changed(self) -> None:
        """As `load`, if the directory's files are other ones than when they were last read."""
        if await anyio.to_thread.run_sync(directory.fingerprint, self.path) != self._seen:
            await self.load()

    async def follow(self) -> None:
        """Load after each change, for ever; returns only if the kernel has no watches to give.

        `reload_if_changed`, called now and then, is what remains in that case.
        """
        try:
            await watch.follow(self.path, self.load)
        except OSError as error:
            log.warning("the CNI directory can't be watched, it is read again now and then", why=str(error))

    def _read(self) -> tuple[directory.Fingerprint, tuple[Network, ...] | ConfigurationError]:
        seen = directory.fingerprint(self.path)  # before: what changes while we read is seen as a change afterwards
        try:
            return seen, directory.load(self.path, self.max_conf_num)
        except ConfigurationError as error:
            return seen, error

    def _judge(self, result: tuple[Network, ...] | ConfigurationError) -> Loaded:
        if not isinstance(result, ConfigurationError):
            return Loaded(result)
        if isinstance(result, NothingConfigured):
            return Loaded((), str(result))
        return Loaded(self.loaded.networks, str(result))

    def _tell(self) -> None:
        names = [network.name for network in self.loaded.networks]
        if self.loaded.problem:
            log.warning("CNI configuration not usable as it is", why=self.loaded.problem, networks_in_force=names)
        else:
            log.info("CNI configuration loaded", directory=self.path, networks=names)
