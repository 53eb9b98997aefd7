"""Networks for pods, by the Container Network Interface: configuration, plugins, results, records."""

from __future__ import annotations

from cri_shim.cni.attachment import Attachment, attachment
from cri_shim.cni.cache import CachedAttachment
from cri_shim.cni.readiness import NetworkStatus
from cri_shim.cni.result import CniResult, InterfaceConfig, IpConfig
from cri_shim.cni.service import Cni

__all__ = [
    "Attachment",
    "CachedAttachment",
    "Cni",
    "CniResult",
    "InterfaceConfig",
    "IpConfig",
    "NetworkStatus",
    "attachment",
]
