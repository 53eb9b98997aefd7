"""The encoder and the decoder of each message class, compiled when the class is first met and kept.

Compiling a class compiles what it nests, too. Nothing is compiled at import: a process pays for the messages that it
speaks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import betterproto2

from cri_shim.codec.decoder import Entry, entry_decoder, message_decoder
from cri_shim.codec.encoder import message_encoder
from cri_shim.codec.schema import Field, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Encoder: TypeAlias = Callable[[Any], bytes]
Decoder: TypeAlias = Callable[[bytes, int, int, int, Any], Any]

_encoders: dict[type, Encoder] = {}
_decoders: dict[type | Entry, Decoder] = {}
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


def prepare(*, decoded: Iterable[type] = (), encoded: Iterable[type] = ()) -> None:
    """Compile the decoders and encoders of these classes now, so that no first call pays for it; any thread may.

    Half a millisecond or so for each class, nested ones included. TypeError: not a betterproto2 message class.
    """
    for cls in decoded:
        decoder(cls)
    for cls in encoded:
        encoder(cls)


def _fields(cls: type) -> tuple[Field, ...]:
    if not issubclass(cls, betterproto2.Message):
        raise TypeError(f"{cls.__qualname__} is not a message class made by betterproto2")
    return fields_of(cls)


def _make_encoder(cls: type, made: dict[type, Encoder]) -> Encoder:
    if cls not in made:
        written = message_encoder(_fields(cls))
        made[cls] = written.compiled(f"encoder of {cls.__name__}")
        for name, nested in written.nested.items():  # after its own is in `made`: a message may nest itself
            written.namespace[name] = _make_encoder(nested, made)
    return made[cls]


def _make_decoder(what: type | Entry, made: dict[type | Entry, Decoder]) -> Decoder:
    if what not in made:
        written = entry_decoder(what) if isinstance(what, Entry) else message_decoder(what, _fields(what))
        made[what] = written.compiled(f"decoder of {what if isinstance(what, Entry) else what.__name__}")
        for name, nested in written.nested.items():
            written.namespace[name] = _make_decoder(nested, made)
    return made[what]
