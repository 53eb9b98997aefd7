"""What a log line says of a request: whose pod, which object. Never all of it: requests carry secrets."""

from __future__ import annotations

from typing import Any

_IDS = ("pod_sandbox_id", "container_id")


def fields_of(request: Any) -> dict[str, Any]:
    """The ids and names that identify what `request` is about."""
    found: dict[str, Any] = {}
    for name in _IDS:
        value = getattr(request, name, None)
        if value:
            found[name] = value
    pod = getattr(request, "sandbox_config", None) or getattr(request, "config", None)
    metadata = getattr(pod, "metadata", None)
    if metadata is not None and hasattr(metadata, "namespace"):
        found.update(pod=metadata.name, namespace=metadata.namespace, uid=metadata.uid)
    config = getattr(request, "config", None)
    if config is not None and getattr(request, "sandbox_config", None) is not None and config.metadata is not None:
        found["container"] = config.metadata.name
    image = getattr(request, "image", None)
    image_name = getattr(image, "image", None)
    if image_name:
        found["image"] = image_name
    return found
