"""`google.protobuf.Any` in containerd's manner: the type URL is the bare message name, without a host."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from cri_shim.errors import DataLoss

M = TypeVar("M", bound=Message)


def pack(message: Message) -> Any:
    """`message` as an Any that containerd's `typeurl` package understands."""
    return Any(type_url=message.DESCRIPTOR.full_name, value=message.SerializeToString())


def is_a(packed: Any, cls: type[Message]) -> bool:
    """Whether `packed` holds a message of type `cls`, with or without a host in its type URL."""
    return packed.type_url.rpartition("/")[2] == cls.DESCRIPTOR.full_name


def unpack(packed: Any, cls: type[M]) -> M:
    """The message of type `cls` in `packed`; DataLoss when it holds another type or can't be decoded."""
    if not is_a(packed, cls):
        raise DataLoss(f"containerd sent {packed.type_url!r} where {cls.DESCRIPTOR.full_name!r} was expected")
    try:
        return cls.FromString(packed.value)
    except DecodeError as error:
        raise DataLoss(f"containerd's {packed.type_url!r} can't be decoded: {error}") from error
