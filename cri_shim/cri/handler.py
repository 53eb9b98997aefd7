"""Which runtime a pod runs by: from its runtime handler to containerd's runtime name, options and snapshotter.

Source: containerd `internal/cri/config/config.go` (`GetSandboxRuntime`, `GenerateRuntimeOptions`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import msgspec

from cri_shim.api.containerd.types.runc.options import oci_pb2
from cri_shim.api.containerd.types.runtimeoptions.v1 import api_pb2 as runtimeoptions_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.containerd import typeurl
from cri_shim.cri.namespace_options import namespace_options
from cri_shim.errors import InvalidArgument, Unimplemented
from cri_shim.linux.oci_runtime import OciRuntime
from cri_shim.state.sandbox import RuntimeChoice

if TYPE_CHECKING:
    from google.protobuf import any_pb2

    from cri_shim.api.containerd.services.containers.v1.containers_pb2 import Container as ContainerRecord
    from cri_shim.api.containerd.types.sandbox_pb2 import Sandbox as SandboxRecord
    from cri_shim.config.settings import RuntimeHandler, Settings

UNTRUSTED_ANNOTATION = "io.kubernetes.cri.untrusted-workload"
UNTRUSTED_HANDLER = "untrusted"
RUNC_V2 = "io.containerd.runc.v2"
_RUNC = "runc"
_RUNC_ROOT = "/run/containerd/runc"


def choose_handler(settings: Settings, config: cri.PodSandboxConfig, wanted: str) -> RuntimeHandler:
    """The settings of the handler for a pod, the default one for ""; InvalidArgument for one that is not configured."""
    if config.annotations.get(UNTRUSTED_ANNOTATION) == "true":
        _check_untrusted(config, wanted)
        wanted = UNTRUSTED_HANDLER
    containerd = settings.runtime.containerd
    name = wanted or containerd.default_runtime_name
    handler = containerd.runtimes.get(name)
    if handler is None:
        raise InvalidArgument(
            f'no runtime for "{name}" is configured: runtime_handler must be one of {sorted(containerd.runtimes)}, '
            "or empty for the default one"
        )
    _check_can_run(name, handler)
    return handler


def _check_can_run(name: str, handler: RuntimeHandler) -> None:
    """Raise Unimplemented for what only some shims offer: nothing else may take its place in silence."""
    for key, value, known in (("sandboxer", handler.sandboxer, "podsandbox"), ("io_type", handler.io_type, "fifo")):
        if value not in ("", known):
            raise Unimplemented(
                f'runtime handler "{name}" is configured with {key} = "{value}", for shims that run whole pods by '
                f'containerd\'s sandbox API: cri-shim runs pods with {key} = "{known}" only, leave the key out'
            )


def _check_untrusted(config: cri.PodSandboxConfig, wanted: str) -> None:
    if wanted not in ("", UNTRUSTED_HANDLER):
        raise InvalidArgument(
            f'annotation {UNTRUSTED_ANNOTATION} asks for the runtime handler "{UNTRUSTED_HANDLER}", '
            f'runtime_handler for "{wanted}": leave one of them out'
        )
    options = namespace_options(config.linux)
    if options and cri.NamespaceMode.NODE in (options.network, options.pid, options.ipc):
        raise InvalidArgument("an untrusted workload can't share the node's network, pid or ipc namespace")


def runtime_choice(settings: Settings, handler: RuntimeHandler) -> RuntimeChoice:
    """How containerd is told to run a handler's containers."""
    return RuntimeChoice(
        name=handler.runtime_type,
        options=runtime_options(handler),
        path=handler.runtime_path,
        snapshotter=settings.snapshotter_of(handler),
    )


def stored_runtime(
    settings: Settings, handler: str, container: ContainerRecord | None, record: SandboxRecord | None
) -> RuntimeChoice:
    """How an object was run, as stored; what isn't stored comes from its handler's settings."""
    handlers = settings.runtime.containerd
    configured = handlers.runtimes.get(handler or handlers.default_runtime_name)
    stored = container.runtime if container is not None else record.runtime if record is not None else None
    default = settings.snapshotter_of(configured) if configured else settings.images.snapshotter
    return RuntimeChoice(
        name=stored.name if stored else "",
        options=stored.options if stored and stored.HasField("options") else None,
        path=configured.runtime_path if configured else "",
        snapshotter=container.snapshotter if container is not None else default,
    )


def oci_runtime(runtime: RuntimeChoice, namespace: str) -> OciRuntime | None:
    """The runtime that runc's shim runs a namespace's containers by; None for another shim, whose affair that is.

    Source: containerd `cmd/containerd-shim-runc-v2/process` (`NewRunc`, `RuncRoot`).
    """
    if runtime.name != RUNC_V2:
        return None
    options = oci_pb2.Options()
    if runtime.options is not None and typeurl.is_a(runtime.options, oci_pb2.Options):
        options = typeurl.unpack(runtime.options, oci_pb2.Options)
    root = os.path.join(options.root or _RUNC_ROOT, namespace)
    return OciRuntime(options.binary_name or _RUNC, root, systemd_cgroup=options.systemd_cgroup)


_RUNC_FIELDS = {
    name.replace("_", ""): name
    for name in ("no_pivot_root", "no_new_keyring", "shim_cgroup", "io_uid", "io_gid", "binary_name", "root",
                 "systemd_cgroup", "criu_image_path", "criu_work_path")
}  # fmt: skip


def runtime_options(handler: RuntimeHandler) -> any_pb2.Any | None:
    """The handler's options table as the `Any` that containerd hands to the shim; None where there is no table."""
    if not handler.options:
        return None
    if handler.runtime_type == RUNC_V2:
        known = {_RUNC_FIELDS.get(key.lower()): value for key, value in handler.options.items()}
        message: oci_pb2.Options | runtimeoptions_pb2.Options = oci_pb2.Options(
            **cast("dict[str, Any]", {name: value for name, value in known.items() if name is not None})
        )
    else:
        message = _generic_options(dict(handler.options))
    return typeurl.pack(message)


def _generic_options(table: dict[str, object]) -> runtimeoptions_pb2.Options:
    lower = {key.lower(): value for key, value in table.items()}
    if path := lower.get("configpath"):
        return runtimeoptions_pb2.Options(type_url=str(lower.get("typeurl", "")), config_path=str(path))
    return runtimeoptions_pb2.Options(type_url=str(lower.get("typeurl", "")), config_body=msgspec.toml.encode(table))
