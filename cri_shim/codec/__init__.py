"""betterproto2 messages to protobuf's wire format and back, by straight-line functions compiled for each class.

betterproto2's own encoder looks every field up anew for every message: hundreds of times slower than protobuf's C
library on a long list. Here Python source is written once for each class, from the same metadata, and compiled.

`schema` says what a class holds, `encoder` and `decoder` (with `reading`) write the source, `wire` is what that source
calls, `compiled` keeps the functions, `messages` and `grpc` are the doors. Differential tests hold all of it to upb.
"""

from cri_shim.codec.compiled import prepare
from cri_shim.codec.grpc import CriCodec, Encoded
from cri_shim.codec.messages import decode, encode, framed, item

__all__ = ["CriCodec", "Encoded", "decode", "encode", "framed", "item", "prepare"]
