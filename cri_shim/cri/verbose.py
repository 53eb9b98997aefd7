"""The `info` map of verbose answers: JSON under the keys that crictl and its users know."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.containerd.types.runc.options import oci_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf import any_pb2

    from cri_shim.state.sandbox import RuntimeChoice


def info(values: Mapping[str, object]) -> dict[str, str]:
    """The map with the one key that containerd's plugin uses."""
    return {"info": msgspec.json.encode(values).decode()}


def runtime_options(runtime: RuntimeChoice) -> dict[str, object] | None:
    """A runtime's options as an object: runc's by their names, others as the bytes they are; None for none."""
    if runtime.options is None or not runtime.options.value:
        return None
    options = oci_pb2.Options()
    if runtime.options.type_url.endswith(options.DESCRIPTOR.full_name):
        options.ParseFromString(runtime.options.value)
        return {field.name: value for field, value in options.ListFields()}
    return {"type_url": runtime.options.type_url, "value": base64.b64encode(runtime.options.value).decode()}


def raw_json(stored: any_pb2.Any) -> msgspec.Raw:
    """A stored JSON document, put into an answer as it is."""
    return msgspec.Raw(stored.value or b"null")
