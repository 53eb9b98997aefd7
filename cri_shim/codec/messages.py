"""Messages to bytes and back, by the compiled encoders and decoders."""

from __future__ import annotations

import struct
from typing import TypeVar

import betterproto2

from cri_shim.codec import compiled, wire
from cri_shim.codec.encoder import item_head
from cri_shim.errors import Internal

M = TypeVar("M", bound=betterproto2.Message)


def encode(message: betterproto2.Message) -> bytes:
    """The message as protobuf writes it: fields in order of their numbers, unknown ones last.

    Internal: a value is not of its field's type, out of its range, or a string that has no UTF-8 form.
    """
    try:
        return compiled.encoder(type(message))(message)
    except (TypeError, AttributeError, ValueError, OverflowError, struct.error) as error:
        raise Internal(f"{type(message).__name__} holds a value that its field can't carry: {error}") from error


def decode(cls: type[M], data: bytes) -> M:
    """The message of class `cls` that `data` is, equal to what betterproto2's own parser makes of it.

    InvalidArgument: `data` is malformed; the text says what, in which message, at which offset.
    """
    message: M = compiled.decoder(cls)(b"".join((data, b"\0")), 0, len(data), wire.RECURSION_LIMIT, None)
    return message


def item(number: int, message: betterproto2.Message) -> bytes:
    """One element of the repeated field `number`: tag, length and body. Joined, such items are the whole list.

    Internal: as for `encode`.
    """
    return framed(number, encode(message))


def framed(number: int, body: bytes) -> bytes:
    """As `item`, for a message that is encoded already."""
    return item_head(number, len(body)) + body
