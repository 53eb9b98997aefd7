"""What containerd settles at start: values that follow from others, and values that can't stand together.

Sources: `ValidateRuntimeConfig`, `ValidateImageConfig`, `ValidateServerConfig` and `CheckLocalImagePullConfigs` in
containerd's `internal/cri/config`; `newTLSConfig` rules from `internal/cri/streaming`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from cri_shim.config.image_settings import ImageSettings, RegistryConfig
from cri_shim.config.migrate import TRANSFER
from cri_shim.config.runtime_settings import RUNC_OPTIONS, RUNC_V2, CniSettings, HandlerSettings, RuntimeHandler

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cri_shim.config.image_settings import RegistrySettings, TransferSettings
    from cri_shim.config.report import Report
    from cri_shim.config.runtime_settings import RuntimeSettings
    from cri_shim.config.settings import Settings, ShimSettings, StreamingSettings
    from cri_shim.config.source import Path

DEFAULT_BIN_DIRS = CniSettings().bin_dirs
DEFAULT_CONFIG_PATH = "/etc/containerd/certs.d:/etc/docker/certs.d"
LOG_LEVELS = ("trace", "debug", "info", "warn", "error")
LOG_FORMATS = ("text", "json")
IP_PREFERENCES = ("", "ipv4", "ipv6", "cni")
_HIGHEST_PORT = 65535
_HIGHEST_ID = 2**32 - 1
_KINDS: Mapping[type, str] = {str: "a string", bool: "true or false", int: f"a number from 0 to {_HIGHEST_ID}"}
_WITHOUT_EFFECT = "has no effect here: images are pulled by containerd's Transfer service"


def effective(settings: Settings, report: Report) -> Settings:
    """`settings` with what follows from them filled in; what can't be is reported."""
    _check_streaming(settings.streaming, report)
    _check_local_pull(settings.images, settings.transfer, report)
    shim = _shim(settings.shim, report)
    return replace(
        settings,
        runtime=_runtime(settings.runtime, shim, report),
        images=replace(settings.images, registry=_registry(settings.images.registry, report)),
        shim=shim,
    )


def _one_of(report: Report, path: Path, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        report.refuse(path, value, "one of " + ", ".join(f'"{name}"' for name in allowed))


def _shim(shim: ShimSettings, report: Report) -> ShimSettings:
    _one_of(report, ("shim", "log_level"), shim.log_level, LOG_LEVELS)
    _one_of(report, ("shim", "log_format"), shim.log_format, LOG_FORMATS)
    address = shim.address.removeprefix("unix://")
    if not address.startswith("/"):
        report.refuse(("shim", "address"), shim.address, "the absolute path of a Unix socket")
    if shim.metrics_address and not _is_port(shim.metrics_address.rpartition(":")[2]):
        report.refuse(("shim", "metrics_address"), shim.metrics_address, 'host:port, such as "127.0.0.1:1338", or ""')
    return replace(shim, address=address)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) <= _HIGHEST_PORT


def _runtime(runtime: RuntimeSettings, shim: ShimSettings, report: Report) -> RuntimeSettings:
    _one_of(report, ("runtime", "cni", "ip_pref"), runtime.cni.ip_pref, IP_PREFERENCES)
    return replace(
        runtime,
        containerd=_handlers(runtime.containerd, report),
        cni=_cni(runtime.cni, report),
        drain_exec_sync_io_timeout=runtime.drain_exec_sync_io_timeout or shim.drain_exec_sync_io_timeout,
    )


def _handlers(containerd: HandlerSettings, report: Report) -> HandlerSettings:
    if containerd.default_runtime_name not in containerd.runtimes:
        path = ("runtime", "containerd", "default_runtime_name")
        report.refuse(path, containerd.default_runtime_name, f"a handler in runtimes: {sorted(containerd.runtimes)}")
    runtimes = {name: _handler(name, handler, report) for name, handler in containerd.runtimes.items()}
    return replace(containerd, runtimes=runtimes)


def _handler(name: str, handler: RuntimeHandler, report: Report) -> RuntimeHandler:
    path = ("runtime", "containerd", "runtimes", name)
    handler = replace(handler, sandboxer=handler.sandboxer or "podsandbox", io_type=handler.io_type or "fifo")
    _one_of(report, (*path, "io_type"), handler.io_type, ("fifo", "streaming"))
    if not handler.runtime_type:
        report.refuse((*path, "runtime_type"), "", f'a runtime, such as "io.containerd.runc.v2", for handler "{name}"')
    if handler.runtime_path and not handler.runtime_path.startswith("/"):
        report.refuse((*path, "runtime_path"), handler.runtime_path, "an absolute path")
    if handler.runtime_type == RUNC_V2:
        _check_runc_options(path, handler, report)
    for key, value, known in (("sandboxer", handler.sandboxer, "podsandbox"), ("io_type", handler.io_type, "fifo")):
        if value != known:
            report.warn((*path, key), f'pods of this handler are refused: cri-shim runs them with "{known}" only')
    devices_allowed = handler.privileged_without_host_devices_all_devices_allowed
    if devices_allowed and not handler.privileged_without_host_devices:
        report.refuse(
            (*path, "privileged_without_host_devices_all_devices_allowed"),
            devices_allowed,
            "false unless privileged_without_host_devices is true",
        )
    return handler


def _check_runc_options(path: tuple[str, ...], handler: RuntimeHandler, report: Report) -> None:
    """Their types are those of their defaults; a key that runc's shim doesn't know has no effect, as in containerd."""
    defaults = {key.lower(): value for key, value in RUNC_OPTIONS.items()}
    for key, value in handler.options.items():
        kind = type(defaults.get(key.lower(), value))
        if type(value) is not kind or (kind is int and not 0 <= cast("int", value) <= _HIGHEST_ID):
            report.refuse((*path, "options", key), value, _KINDS[kind])


def _cni(cni: CniSettings, report: Report) -> CniSettings:
    if not cni.bin_dir:
        return cni
    report.warn(("runtime", "cni", "bin_dir"), "deprecated, use bin_dirs")
    if cni.bin_dirs not in ((), DEFAULT_BIN_DIRS):
        report.refuse(("runtime", "cni", "bin_dir"), cni.bin_dir, "absent where bin_dirs is set")
    return replace(cni, bin_dir="", bin_dirs=(cni.bin_dir,))


def _registry(registry: RegistrySettings, report: Report) -> RegistrySettings:
    for name in ("mirrors", "configs", "auths"):
        if getattr(registry, name):
            report.warn(("images", "registry", name), "deprecated, use config_path and image pull secrets")
    if registry.mirrors and registry.config_path:
        report.refuse(("images", "registry", "config_path"), registry.config_path, "empty where mirrors are set")
    configs = dict(registry.configs)
    for url, auth in registry.auths.items():
        host = urlsplit(url).netloc if "://" in url else url
        configs[host] = replace(configs.get(host, RegistryConfig()), auth=auth)
    default = "" if registry.mirrors else DEFAULT_CONFIG_PATH
    return replace(registry, configs=configs, config_path=registry.config_path or default)


def _check_local_pull(images: ImageSettings, transfer: TransferSettings, report: Report) -> None:
    """Warn of what only containerd's older, local way to pull obeys."""
    if images.use_local_image_pull:
        report.warn(("images", "use_local_image_pull"), _WITHOUT_EFFECT)
    asked = images.max_concurrent_downloads
    if asked not in (ImageSettings.max_concurrent_downloads, transfer.max_concurrent_downloads):
        report.warn(
            ("images", "max_concurrent_downloads"),
            f"{_WITHOUT_EFFECT}: set it to {asked} in [plugins.'{TRANSFER}'], and restart containerd",
        )


def _check_streaming(streaming: StreamingSettings, report: Report) -> None:
    if streaming.stream_server_port and not _is_port(streaming.stream_server_port):
        report.refuse(
            ("streaming", "stream_server_port"), streaming.stream_server_port, 'a port in quotes; "0" takes a free one'
        )
    pair = streaming.x509_key_pair_streaming
    files = (pair.tls_cert_file, pair.tls_key_file)
    path = ("streaming", "x509_key_pair_streaming")
    if any(files) and not all(files):
        report.refuse(path, files, "both files or none")
    elif any(files) and not streaming.enable_tls_streaming:
        report.refuse(path, files, "empty unless enable_tls_streaming is true")
