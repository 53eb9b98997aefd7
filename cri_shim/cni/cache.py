"""The record of attachments that libcni keeps, in its own form: one file for each network of each pod.

It holds the configuration that the pod was added with, which is the one to delete it with, whatever the directory
holds by then. We write it *before* the first plugin runs, without a result, and again with the result: so a pod whose
ADD was cut short is found and deleted, too. libcni takes a record without a result for one whose result is unknown.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from cri_shim import errors
from cri_shim.cni.attachment import POD_ID_ARGUMENT, Attachment
from cri_shim.linux import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cri_shim.cni.network import Network

CACHE_DIR: Final = "/var/lib/cni"
_KIND: Final = "cniCacheV1"
_NOTHING: Final = msgspec.Raw(b"")


class _Record(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The file's object; bytes are base64 in JSON, here as in Go."""

    kind: str
    container_id: str
    config: bytes | None
    if_name: str
    network_name: str
    netns: str = ""
    cni_args: tuple[tuple[str, str], ...] | None = None
    capability_args: dict[str, msgspec.Raw] | None = None
    result: msgspec.Raw = _NOTHING


@dataclass(frozen=True, slots=True)
class CachedAttachment:
    """One record: `config` is the list of plugins as JSON, `result` what ADD gave, or b"" if that isn't known."""

    network: str
    container_id: str
    ifname: str
    netns: str
    config: bytes
    result: bytes = b""
    arguments: tuple[tuple[str, str], ...] = ()
    capabilities: Mapping[str, msgspec.Raw] = field(default_factory=dict)

    @property
    def is_pod(self) -> bool:
        """Whether a CRI runtime made it, and not another program that shares the directory."""
        return (POD_ID_ARGUMENT, self.container_id) in self.arguments

    def attachment(self, netns: str) -> Attachment:
        """The attachment as it was added, its namespace now at `netns`."""
        return Attachment(self.container_id, netns, self.arguments, self.capabilities)


class Cache:
    """The directory `<directory>/results`.

    Its methods block: call them in a thread. They raise `errors.Unknown` when the disk refuses.
    """

    def __init__(self, directory: str = CACHE_DIR) -> None:
        self._results = os.path.join(directory, "results")

    def write(self, network: Network, attachment: Attachment, ifname: str, result: bytes = b"") -> None:
        """Note that `attachment` is being added to `network` or, with `result`, has been."""
        record = _Record(
            kind=_KIND,
            container_id=attachment.container_id,
            config=network.source,
            if_name=ifname,
            network_name=network.name,
            netns=attachment.netns,
            cni_args=attachment.arguments or None,
            capability_args=dict(attachment.capabilities) or None,
            result=msgspec.Raw(result) if result else _NOTHING,
        )
        path = self._path(network.name, attachment.container_id, ifname)
        with _named(path):
            os.makedirs(self._results, mode=0o700, exist_ok=True)
            files.write_atomic(path, msgspec.json.encode(record), 0o600, durable=False)

    def remove(self, network: str, container_id: str, ifname: str) -> None:
        """Forget an attachment; a missing one is fine."""
        path = self._path(network, container_id, ifname)
        with _named(path):
            files.remove_written(path)

    def of(self, container_id: str) -> list[CachedAttachment]:
        """The attachments of one pod, by interface name."""
        found = [self._read(name) for name in self._names() if f"-{container_id}-" in name]
        mine = [one for one in found if one is not None and one.container_id == container_id]
        return sorted(mine, key=lambda one: (len(one.ifname), one.ifname))  # eth2 before eth10

    def all(self) -> list[CachedAttachment]:
        """Every attachment, other programs' included; a file that is no record of this kind is left out."""
        return [one for one in map(self._read, self._names()) if one is not None]

    def _path(self, network: str, container_id: str, ifname: str) -> str:
        return os.path.join(self._results, f"{network}-{container_id}-{ifname}")

    def _names(self) -> list[str]:
        with _named(self._results), contextlib.suppress(FileNotFoundError):
            return sorted(name for name in os.listdir(self._results) if not name.startswith("."))
        return []

    def _read(self, name: str) -> CachedAttachment | None:
        path = os.path.join(self._results, name)
        data = b""
        with _named(path), contextlib.suppress(FileNotFoundError, IsADirectoryError), open(path, "rb") as file:
            data = file.read()
        try:
            record = msgspec.json.decode(data, type=_Record)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if record.kind != _KIND or not record.network_name or not record.if_name:
            return None
        result = bytes(record.result)
        return CachedAttachment(
            network=record.network_name,
            container_id=record.container_id,
            ifname=record.if_name,
            netns=record.netns,
            config=record.config or b"",
            result=b"" if result in (b"null", b"{}") else result,
            arguments=record.cni_args or (),
            capabilities=record.capability_args or {},
        )


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.Unknown(f"the record of CNI attachments {path}: {error.strerror}") from error
