"""Pods' networks: attached, checked, detached by the plugins that the node is configured with.

The loopback interface is brought up by ourselves, without a plugin's process. With containerd's
`use_internal_loopback = false` the result has an `lo` all the same, as containerd's has from its plugin; with `true`
it has none, as containerd's then. A pod that containerd attached with its loopback plugin is detached without it: the
interface goes with its namespace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread
import structlog

from cri_shim import errors
from cri_shim.cni import network, plugin_result, result
from cri_shim.cni.cache import CACHE_DIR, Cache, CachedAttachment
from cri_shim.cni.chain import Chain
from cri_shim.cni.configuration import Configuration
from cri_shim.cni.network import Network
from cri_shim.cni.plugin import PLUGIN_TIMEOUT, Runner
from cri_shim.cni.readiness import NetworkStatus, Readiness
from cri_shim.linux import netns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.cni.attachment import Attachment
    from cri_shim.cni.plugin_result import PluginResult
    from cri_shim.cni.result import CniResult

log = structlog.get_logger(__name__)

T = TypeVar("T")
_LOOPBACK: Final = ("cni-loopback", "lo")  # containerd's network for the plugin, and its interface


@dataclass(frozen=True, slots=True)
class _Attached:
    """A chain to take apart: ADD's result, b"" if it isn't known; whether ADD is known to have been complete; and
    whether a failure to detach matters, as it does if there is any sign that it was attached.
    """

    chain: Chain
    result: bytes
    complete: bool
    matters: bool = True


class Cni:
    """The networks of one configuration directory, for all pods whose handler uses it.

    Parameters are containerd's settings of the same names; `cache_dir` holds libcni's records, `plugin_timeout` is
    in seconds, for each plugin's run.
    """

    def __init__(
        self,
        *,
        bin_dirs: Sequence[str],
        conf_dir: str,
        max_conf_num: int = 1,
        setup_serially: bool = False,
        use_internal_loopback: bool = False,
        cache_dir: str = CACHE_DIR,
        plugin_timeout: float = PLUGIN_TIMEOUT,
    ) -> None:
        self._runner = Runner(tuple(bin_dirs), plugin_timeout)
        self._configuration = Configuration(conf_dir, max_conf_num)
        self._readiness = Readiness(self._configuration, self._runner)
        self._cache = Cache(cache_dir)
        self._serially = setup_serially
        self._tells_loopback = not use_internal_loopback

    async def load(self) -> None:
        """Read the configuration and ask the plugins how they are, so that the first `status` is a true one."""
        await self._configuration.load()
        await self._readiness.look()

    async def watch(self) -> None:
        """Follow the directory, and keep `status` fresh; for ever, in a task of the node's."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._configuration.follow)
            group.start_soon(self._readiness.keep_fresh)

    def status(self) -> NetworkStatus:
        """Whether pods can get a network, and if not, why: answered at once, from memory."""
        return self._readiness.status()

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks in force, in the order of their interfaces eth0, eth1, …"""
        return self._configuration.loaded.networks

    @property
    def last_load(self) -> str:
        """What was wrong when the directory was last read, "OK" for nothing; for the verbose status."""
        return self._configuration.loaded.problem or "OK"

    def describe(self) -> dict[str, object]:
        """The configuration as containerd shows it in the verbose status, under `cniconfig`."""
        return {
            "PluginDirs": list(self._runner.bin_dirs),
            "PluginConfDir": self._configuration.path,
            "PluginMaxConfNum": self._configuration.max_conf_num,
            "Prefix": "eth",
            "Networks": [
                {"Config": one.describe(), "IFName": f"eth{number}"} for number, one in enumerate(self.networks)
            ],
        }

    async def add(self, attachment: Attachment) -> CniResult:
        """Attach a pod to all networks, its namespace's `lo` brought up.

        Raises `errors.CriError`, of the first network that failed; call `delete` then, in any case.
        """
        chains = self._chains(attachment)
        if not chains:
            raise errors.Unknown(self.status().message)
        await anyio.to_thread.run_sync(self._write_ahead, chains)
        addresses = await netns.loopback_up(attachment.netns)
        results = await self._add_all(chains)
        loopback = [result.loopback(attachment.netns, addresses)] if self._tells_loopback else []
        return result.combine([*loopback, *results])

    async def delete(self, attachment: Attachment, *, result_known: bool) -> None:
        """Detach a pod from its networks, each with the configuration that it was attached with.

        `result_known` says that `add` once succeeded for it. May be repeated; what is gone already is fine, the
        namespace included. All networks are tried; then `errors.CriError` is raised if a plugin failed or couldn't be
        had: to be called again. A pod that has neither record nor namespace has been detached before: its present
        networks are told once more, but their failure is none. One that has a result and a namespace, but no record,
        is an error if there is no configuration either.
        """
        attached = await anyio.to_thread.run_sync(self._attached, attachment, result_known)
        if not attached and result_known and await anyio.to_thread.run_sync(netns.is_netns, attachment.netns):
            raise errors.Unknown(
                f"pod {attachment.container_id} can't be detached from its network: there is neither the record of "
                f"how it was attached, nor a configuration to go by: {self.status().message}"
            )
        failures = [error for one in attached if (error := await self._delete(one)) is not None]
        if failures:
            raise failures[0]

    async def check(self, attachment: Attachment) -> None:
        """Have the plugins check what they made for the pod; raises `errors.CriError` with what is amiss."""
        for one in await anyio.to_thread.run_sync(self._recorded, attachment):
            await one.chain.check(one.result)

    async def cached_attachments(self) -> list[CachedAttachment]:
        """All attachments on record, also those of other programs: `is_pod` tells which a CRI runtime made."""
        return await anyio.to_thread.run_sync(self._cache.all)

    def _chains(self, attachment: Attachment) -> list[Chain]:
        return [
            Chain(self._runner, network, f"eth{number}", attachment) for number, network in enumerate(self.networks)
        ]

    def _write_ahead(self, chains: Sequence[Chain]) -> None:
        """Make sure that every plugin can run, then record the attachments: before anything is made."""
        for plugin in (plugin for chain in chains for plugin in chain.network.plugins):
            self._runner.find(plugin.type)
        for chain in chains:
            self._record(chain)

    def _record(self, chain: Chain, answer: bytes = b"") -> None:
        self._cache.write(chain.network, chain.attachment, chain.ifname, answer)

    async def _add_all(self, chains: Sequence[Chain]) -> list[PluginResult]:
        """Each chain runs to its end, whatever becomes of the others, unless they are to go one by one."""
        if self._serially or len(chains) == 1:
            return [await self._add(chain) for chain in chains]
        outcomes: list[PluginResult | errors.CriError] = [errors.Internal("not run")] * len(chains)

        async def run(number: int, chain: Chain) -> None:
            try:
                outcomes[number] = await self._add(chain)
            except errors.CriError as error:
                outcomes[number] = error

        async with anyio.create_task_group() as group:
            for number, chain in enumerate(chains):
                group.start_soon(run, number, chain)
        return [_value(outcome) for outcome in outcomes]

    async def _add(self, chain: Chain) -> PluginResult:
        answer = await chain.add()
        await anyio.to_thread.run_sync(self._record, chain, answer)
        return plugin_result.parse(answer)

    async def _delete(self, one: _Attached) -> errors.CriError | None:
        chain = one.chain
        try:
            await chain.delete(one.result, complete=one.complete)
        except errors.CriError as error:
            if one.matters:
                return error
            log.info("a network that a pod may have had is not detached", network=chain.network.name, why=str(error))
            return None
        where = (chain.network.name, chain.attachment.container_id, chain.ifname)
        await anyio.to_thread.run_sync(self._cache.remove, *where)
        return None

    def _attached(self, attachment: Attachment, result_known: bool) -> list[_Attached]:  # noqa: FBT001  (a thread's call)
        """What is on record and, unless that must be all, what is configured: containerd records a network only when
        its ADD has succeeded.
        """
        recorded = self._recorded(attachment)
        if recorded and result_known:
            return recorded
        seen = {(one.chain.network.name, one.chain.ifname) for one in recorded}
        present = replace(attachment, netns=_if_there(attachment.netns))
        rest = [one for one in self._chains(present) if (one.network.name, one.ifname) not in seen]
        matters = result_known and bool(present.netns)  # else it has most likely been detached already
        return recorded + [_Attached(one, b"", complete=matters, matters=matters) for one in rest]

    def _recorded(self, attachment: Attachment) -> list[_Attached]:
        path = _if_there(attachment.netns)
        return [self._from_record(record, path) for record in self._cache.of(attachment.container_id)]

    def _from_record(self, record: CachedAttachment, path: str) -> _Attached:
        chain = Chain(self._runner, self._network_of(record), record.ifname, record.attachment(path))
        return _Attached(chain, record.result, complete=bool(record.result))

    def _network_of(self, record: CachedAttachment) -> Network:
        """The network as the pod was attached to it; if the record doesn't tell, the present one of its name."""
        if (record.network, record.ifname) == _LOOPBACK:
            return Network(record.network, "", disable_check=True, plugins=(), source=record.config)
        try:
            recorded = network.parse_list(record.config)
        except errors.InvalidArgument:
            recorded = None
        if recorded is not None and recorded.plugins:
            return recorded
        for present in self.networks:
            if present.name == record.network:
                return present
        raise errors.Unknown(
            f'the record of pod {record.container_id} on network "{record.network}" holds no usable configuration, '
            "and the network is not configured any more: restore its file to have the pod detached"
        )


def _if_there(path: str) -> str:
    """The namespace's path, or "" for one that is gone, as plugins are told it."""
    return path if netns.is_netns(path) else ""


def _value(outcome: T | errors.CriError) -> T:
    if isinstance(outcome, errors.CriError):
        raise outcome
    return outcome
