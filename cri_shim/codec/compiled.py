"""The encoder and the decoder of each message class, compiled when the class is first met and kept.

Compiling a class compiles what it nests, too. Nothing is compiled at import: a process pays for the messages that it
speaks.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import betterproto2

from cri_shim.codec import source
from cri_shim.codec.decoder import DecoderSource, EntrySource
from cri_shim.codec.encoder import EncoderSource
from cri_shim.codec.schema import Field, fields_of

Encoder: TypeAlias = Callable[[Any], bytes]
Decoder: TypeAlias = Callable[[bytes, int, int, int, Any], Any]

_encoders: dict[type, Encoder] = {}
_decoders: dict[type, Decoder] = {}
_compiling = threading.Lock()


def encoder(cls: type) -> Encoder:
    """The compiled encoder of `cls`: from a message of it to its bytes. TypeError: not a betterproto2 message class."""
    found = _encoders.get(cls)
    if found is None:
        with _compiling:
            made = dict(_encoders)
            found = _make_encoder(cls, made)
            _encoders.update(made)  # published only when everything nested is there, too
    return found


def decoder(cls: type) -> Decoder:
    """The compiled decoder of `cls`; see `cri_shim.codec.decoder`. TypeError: not a betterproto2 message class."""
    found = _decoders.get(cls)
    if found is None:
        with _compiling:
            made = dict(_decoders)
            found = _make_decoder(cls, made)
            _decoders.update(made)
    return found


def _fields(cls: type) -> tuple[Field, ...]:
    if not issubclass(cls, betterproto2.Message):
        raise TypeError(f"{cls.__qualname__} is not a message class made by betterproto2")
    return fields_of(cls)


def _make_encoder(cls: type, made: dict[type, Encoder]) -> Encoder:
    if cls in made:
        return made[cls]
    written = EncoderSource(_fields(cls))
    encode: Encoder
    made[cls] = encode = source.function("encode", f"encoder of {cls.__name__}", written.lines, written.namespace)
    for name, nested in written.nested.items():  # after its own is in `made`: a message may nest itself
        written.namespace[name] = _make_encoder(nested, made)
    return encode


def _make_decoder(cls: type, made: dict[type, Decoder]) -> Decoder:
    if cls in made:
        return made[cls]
    order = [field.name for field in dataclasses.fields(cls)]
    written = DecoderSource(cls, _fields(cls), order)
    decode: Decoder
    made[cls] = decode = source.function("decode", f"decoder of {cls.__name__}", written.lines, written.namespace)
    _fill(written, cls, made)
    return decode


def _fill(written: DecoderSource, cls: type, made: dict[type, Decoder]) -> None:
    for name, nested in written.nested.items():
        if isinstance(nested, Field):
            entry, title = EntrySource(cls, nested), f"decoder of {cls.__name__}.{nested.name}"
            written.namespace[name] = source.function("decode", title, entry.lines, entry.namespace)
            _fill(entry, cls, made)
        else:
            written.namespace[name] = _make_decoder(nested, made)
