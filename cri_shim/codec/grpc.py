"""The codec that grpclib's server and clients are given, and responses that come to it already encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

from grpclib.encoding.base import CodecBase

from cri_shim.codec.messages import M, decode, encode


@dataclass(frozen=True, slots=True)
class Encoded(Generic[M]):
    """A message of class `kind` whose bytes are there already; a handler may return it in the message's place."""

    kind: type[M]
    data: bytes


class CriCodec(CodecBase):
    """Carries betterproto2 messages over gRPC by the compiled encoders and decoders."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """The bytes of `message`, a `message_type` or an `Encoded` one. TypeError: another; Internal: see `encode`."""
        kind = message.kind if isinstance(message, Encoded) else type(message)
        if kind is not message_type:
            raise TypeError(f"a {message_type.__name__} is to be sent here, not a {kind.__name__}")
        return message.data if isinstance(message, Encoded) else encode(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        """The `message_type` in `data`. InvalidArgument: malformed."""
        return decode(message_type, data)
