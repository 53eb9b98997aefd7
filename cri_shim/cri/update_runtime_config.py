"""UpdateRuntimeConfig: the node's pod CIDR, of which a network configuration is made where the settings say how.

Source: containerd `internal/cri/server/update_runtime_config.go`.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING

import msgspec
import structlog
from anyio import to_thread

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni.template import render
from cri_shim.errors import CriError, FailedPrecondition, InvalidArgument
from cri_shim.linux.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.config.runtime_settings import CniSettings
    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)

WRITTEN = "10-containerd-net.conflist"
_EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


async def update_runtime_config(
    parts: Parts, request: cri.UpdateRuntimeConfigRequest
) -> cri.UpdateRuntimeConfigResponse:
    """Write the network configuration that `conf_template` makes of the pod CIDR, unless there is one already.

    Raises InvalidArgument for a CIDR that is none, FailedPrecondition for a template that makes no configuration.
    """
    config = request.runtime_config or cri.RuntimeConfig()
    ranges = _ranges(config.network_config.pod_cidr if config.network_config else "")
    settings, network = parts.settings.runtime.cni, parts.networks[""]
    if not ranges:
        return cri.UpdateRuntimeConfigResponse()
    if not settings.conf_template:
        log.info("no conf_template is configured: whoever configures CNI knows the pod CIDR", pod_cidr=ranges)
        return cri.UpdateRuntimeConfigResponse()
    await network.load()
    if network.networks:
        log.info("the network is configured already, conf_template is left alone", pod_cidr=ranges)
        return cri.UpdateRuntimeConfigResponse()
    await to_thread.run_sync(_write, settings, ranges)
    await network.load()
    return cri.UpdateRuntimeConfigResponse()


def _ranges(pod_cidr: str) -> list[str]:
    """The CIDRs of a list separated by commas; InvalidArgument for one that is none."""
    found = [part.strip() for part in pod_cidr.split(",")] if pod_cidr else []
    for part in found:
        try:
            address, _, length = part.partition("/")
            ipaddress.ip_interface((address, int(length)))
        except ValueError as error:
            raise InvalidArgument(
                f"runtime_config.network_config.pod_cidr {pod_cidr!r}: {part!r} is no CIDR ({error}): "
                "give one for each IP family, separated by commas"
            ) from error
    return found


def _write(settings: CniSettings, ranges: Sequence[str]) -> None:
    """Make the configuration file. Blocks."""
    try:
        with open(settings.conf_template, encoding="utf-8") as file:
            content = _filled(file.read(), ranges)
        os.makedirs(settings.conf_dir, 0o755, exist_ok=True)
        write_atomic(os.path.join(settings.conf_dir, WRITTEN), content, 0o644)
    except (CriError, OSError, UnicodeDecodeError) as error:
        raise FailedPrecondition(f"conf_template {settings.conf_template}: {error}") from error
    log.info("network configuration written", file=os.path.join(settings.conf_dir, WRITTEN), pod_cidr=ranges)


def _filled(template: str, ranges: Sequence[str]) -> bytes:
    families = {ipaddress.ip_interface(part).version for part in ranges}
    routes = [route for version, route in _EVERYWHERE.items() if version in families]
    content = render(template, {"PodCIDR": ranges[0], "PodCIDRRanges": list(ranges), "Routes": routes}).encode()
    try:
        msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise FailedPrecondition(f"what it makes is not JSON: {error}") from error
    return content
