"""The runtime handlers that Status tells of, their features as the runtimes themselves report them.

Source: containerd `internal/cri/server/service.go` (`introspectRuntimeHandlers`), OCI runtime-spec `features.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from cri_shim.api.containerd.types import introspection_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.cri.handler import runtime_options
from cri_shim.errors import CriError, InvalidArgument
from cri_shim.oci.spec import Spec, from_json

if TYPE_CHECKING:
    from cri_shim.config.settings import RuntimeHandler, Settings
    from cri_shim.containerd.client import Client

log = structlog.get_logger(__name__)

TASK_PLUGIN = ("io.containerd.runtime.v2", "task")


class IdMap(msgspec.Struct, frozen=True):
    """Whether mounts can have their ids mapped; what isn't said can't be relied on."""

    enabled: bool | None = None


class MountExtensions(msgspec.Struct, frozen=True):
    """What a runtime can do to mounts beyond their options."""

    idmap: IdMap = IdMap()


class LinuxFeatures(msgspec.Struct, frozen=True, rename="camel"):
    """The Linux part."""

    namespaces: list[str] = []
    mount_extensions: MountExtensions = MountExtensions()


class Features(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a runtime's `features` document that the CRI asks about."""

    mount_options: list[str] = []
    linux: LinuxFeatures = LinuxFeatures()

    def to_cri(self) -> cri.RuntimeHandlerFeatures:
        """The features as the CRI spells them. A pod's users need a runtime that maps the ids of its volumes, too."""
        maps_ids = bool(self.linux.mount_extensions.idmap.enabled)
        return cri.RuntimeHandlerFeatures(
            recursive_read_only_mounts="rro" in self.mount_options,
            user_namespaces="user" in self.linux.namespaces and maps_ids,
        )


async def runtime_handlers(settings: Settings, containerd: Client) -> list[cri.RuntimeHandler]:
    """The handlers by name, and one named "" for the default; a runtime that can't be asked has no features."""
    configured = settings.runtime.containerd
    found = {name: await _features(name, handler, containerd) for name, handler in configured.runtimes.items()}
    found[""] = found[configured.default_runtime_name]
    return [cri.RuntimeHandler(name=name, features=found[name].to_cri()) for name in sorted(found)]


async def _features(name: str, handler: RuntimeHandler, containerd: Client) -> Features:
    request = typeurl.pack(
        introspection_pb2.RuntimeRequest(
            runtime_path=handler.runtime_path or handler.runtime_type, options=runtime_options(handler)
        )
    )
    try:
        answer = await containerd.introspection.plugin_info(*TASK_PLUGIN, request)
        info = introspection_pb2.RuntimeInfo.FromString(answer.extra.value)
        return msgspec.json.decode(info.features.value or b"{}", type=Features)
    except (CriError, msgspec.MsgspecError) as error:
        log.warning("runtime doesn't tell its features", handler=name, error=str(error))
        return Features()


def base_specs(settings: Settings) -> dict[str, Spec]:
    """The base runtime specs of the handlers that name one. InvalidArgument for a file that can't be read. Blocks."""
    specs = {}
    for name, handler in settings.runtime.containerd.runtimes.items():
        if not handler.base_runtime_spec:
            continue
        try:
            with open(handler.base_runtime_spec, "rb") as file:
                specs[name] = from_json(file.read(), Spec)
        except (OSError, msgspec.MsgspecError) as error:
            raise InvalidArgument(
                f"base_runtime_spec {handler.base_runtime_spec!r} of the runtime handler {name!r}: {error}"
            ) from error
    return specs
