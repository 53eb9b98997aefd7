"""protobuf's own C library (upb) as the judge: its classes for the CRI, and messages of ours made into messages of its.

The classes are made at run time in a pool of their own; cri-shim ships none for the CRI.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

import cri_shim.api.runtime.v1  # noqa: F401  (its messages come into the pool with it)
from cri_shim.api.message_pool import default_message_pool
from cri_shim.codec.schema import Label, fields_of
from tests.codec import everything
from tests.contracts.descriptors import project_descriptors

assert api_implementation.Type() == "upb", "the tests compare with protobuf's C library"

_pool = descriptor_pool.DescriptorPool()
for _file in (*project_descriptors().file, everything.descriptor(), everything.descriptor(packed=False)):
    _pool.AddSerializedFile(_file.SerializeToString())


def named(full: str) -> Any:
    """The class of upb for the message of that full name."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(full))


CLASSES: dict[type, Any] = {cls: named(url.partition("/")[2]) for url, cls in default_message_pool.url_to_type.items()}
CLASSES[everything.Everything] = named(f"{everything.PACKAGE}.Everything")
UNPACKED = named(f"{everything.PACKAGE}.unpacked.Everything")


def parsed(cls: type, data: bytes) -> Any | None:
    """The message of class `cls` that upb finds in `data`; None when it refuses."""
    try:
        return CLASSES[cls].FromString(data)
    except DecodeError:
        return None


def canonical(message: Any) -> bytes:
    """Bytes that are the same for equal messages, maps and NaNs included."""
    return bytes(message.SerializeToString(deterministic=True))


def from_ours(message: Any, into: Any = None) -> Any:
    """A upb message with the same values, set one by one through its public interface."""
    into = CLASSES[type(message)]() if into is None else into
    into.SetInParent()
    for field in fields_of(type(message)):
        value = getattr(message, field.name)
        name = into.DESCRIPTOR.fields_by_number[field.number].name
        nested = field.value.kind == "message"
        if field.label is Label.MAP:
            for key, one in value.items():
                if nested:
                    from_ours(one, getattr(into, name)[key])
                else:
                    getattr(into, name)[key] = one
        elif field.label is Label.REPEATED:
            for one in value:
                if nested:
                    from_ours(one, getattr(into, name).add())
                else:
                    getattr(into, name).append(one)
        elif value is not None:
            if nested:
                from_ours(value, getattr(into, name))
            else:
                setattr(into, name, value)
    return into
