"""A network's plugins run one after the other: forth for ADD and CHECK, back for DEL.

Source: CNI specification, sections 3 (operations) and 4 (delegation of results).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from cri_shim import errors
from cri_shim.cni import plugin_result, versions
from cri_shim.cni.plugin import Invocation, MissingPlugin, PluginError, Runner

if TYPE_CHECKING:
    from cri_shim.cni.attachment import Attachment
    from cri_shim.cni.network import Network, Plugin

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chain:
    """One attachment to one network under one interface name."""

    runner: Runner
    network: Network
    ifname: str
    attachment: Attachment

    async def add(self) -> bytes:
        """Attach, and return the last plugin's result as JSON, as it was given but for a missing version.

        Raises `errors.CriError`; what the plugins before have made stays, until `delete`.
        """
        result = b""
        for plugin in self.network.plugins:
            answer = await self._run(plugin, "ADD", result)
            try:
                result = plugin_result.with_version(answer, self.network.cni_version)
                plugin_result.parse(result)
            except errors.InvalidArgument as error:
                raise PluginError(f'plugin type="{plugin.type}" failed (add): {error}') from error
        return result

    async def check(self, result: bytes) -> None:
        """Have each plugin check what it made; `result` is ADD's. Raises `PluginError` with what is amiss.

        Configurations before 0.4.0, or with `disableCheck`, have nothing to check.
        """
        if self.network.disable_check or not self.network.supports(versions.CHECK):
            return
        previous = self._as_configured(result)
        for plugin in self.network.plugins:
            await self._run(plugin, "CHECK", previous)

    async def delete(self, result: bytes, *, complete: bool) -> None:
        """Detach, last plugin first. What a plugin finds gone already counts as deleted.

        If ADD is not known to have been `complete`, a plugin without a program can't have been reached, and is passed
        over. Raises `errors.CriError` at the first failure; to be repeated then.
        """
        previous = self._as_configured(result) if self.network.supports(versions.PREV_RESULT_ON_DELETE) else b""
        for plugin in reversed(self.network.plugins):
            try:
                await self._run(plugin, "DEL", previous)
            except MissingPlugin as error:
                if complete:
                    raise
                log.warning(
                    "a CNI plugin that never ran is not asked to delete", network=self.network.name, why=str(error)
                )
            except PluginError as error:
                if not self._is_gone(error):
                    raise
                log.info("a CNI plugin found nothing to delete", network=self.network.name, why=str(error))

    async def _run(self, plugin: Plugin, command: str, previous: bytes) -> bytes:
        extra: dict[str, object] = {"prevResult": msgspec.Raw(previous)} if previous else {}
        values = self.attachment.capabilities
        if wanted := {name: values[name] for name in sorted(plugin.capabilities) if name in values}:
            extra["runtimeConfig"] = wanted
        invocation = Invocation(
            container_id=self.attachment.container_id,
            netns=self.attachment.netns,
            ifname=self.ifname,
            arguments=self.attachment.arguments,
        )
        return await self.runner.run(plugin.type, command, invocation, plugin.stdin(self.network, extra))

    def _as_configured(self, result: bytes) -> bytes:
        """The result in the configuration's version; none, rather than no DEL, if it can't be had."""
        try:
            return plugin_result.convert(result, self.network.cni_version) if result else b""
        except errors.InvalidArgument as error:
            log.warning("a stored CNI result can't be used", network=self.network.name, why=str(error))
            return b""

    def _is_gone(self, error: PluginError) -> bool:
        """As containerd judges it, by the text: the specification has no code for it."""
        without_netns = not self.attachment.netns and "no such file or directory" in error.said
        return without_netns or "not found" in error.said


async def status(runner: Runner, network: Network) -> None:
    """Ask a network's plugins whether they could serve an ADD; before version 1.1.0 they can't be asked.

    Raises `errors.CriError` with the first one's reason.
    """
    if not network.supports(versions.STATUS):
        return
    for plugin in network.plugins:
        await runner.run(plugin.type, "STATUS", Invocation(), plugin.stdin(network, {}))
