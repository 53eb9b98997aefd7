"""Bytes worked out by hand from the draft, both ways."""

from __future__ import annotations

import hashlib
import zlib

import pytest

from cri_shim.streaming.spdy.dictionary import DICTIONARY
from cri_shim.streaming.spdy.frame_reader import FrameReader
from cri_shim.streaming.spdy.frames import (
    Data,
    Frame,
    GoAway,
    MoreHeaders,
    Ping,
    RstStream,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
    serialize,
)
from cri_shim.streaming.spdy.limits import DEFAULT_LIMITS

HEADERS = (("streamtype", "stdin"), ("port", "80"))
BLOCK = (
    b"\x00\x00\x00\x02"
    b"\x00\x00\x00\x0astreamtype\x00\x00\x00\x05stdin"
    b"\x00\x00\x00\x04port\x00\x00\x00\x0280"
)  # fmt: skip
VECTORS = [
    (Data(5, b"abc"), "00000005 00000003 616263"),
    (Data(5, b"", fin=True), "00000005 01000000"),
    (Data(0x7FFFFFFF, b"\xff", fin=True), "7fffffff 01000001 ff"),
    (SynStream(1, HEADERS), "80030001 000000HH 00000001 00000000 0000 BLOCK"),
    (SynStream(3, HEADERS, fin=True), "80030001 010000HH 00000003 00000000 0000 BLOCK"),
    (SynStream(3, HEADERS, unidirectional=True), "80030001 020000HH 00000003 00000000 0000 BLOCK"),
    (SynReply(1, HEADERS), "80030002 000000HH 00000001 BLOCK"),
    (SynReply(1, HEADERS, fin=True), "80030002 010000HH 00000001 BLOCK"),
    (MoreHeaders(1, HEADERS), "80030008 000000HH 00000001 BLOCK"),
    (RstStream(7, 5), "80030003 00000008 00000007 00000005"),
    (Settings(((7, 65536),)), "80030004 0000000c 00000001 00000007 00010000"),
    (Ping(0x01020304), "80030006 00000004 01020304"),
    (GoAway(9, 1), "80030007 00000008 00000009 00000001"),
    (WindowUpdate(0, 0x7FFFFFFF), "80030009 00000008 00000000 7fffffff"),
]


def deflate(_: object) -> bytes:
    """As a foreign encoder would: the least that zlib can do."""
    compressor = zlib.compressobj(level=0, zdict=DICTIONARY)
    return compressor.compress(BLOCK) + compressor.flush(zlib.Z_SYNC_FLUSH)


def wire(text: str) -> bytes:
    block = deflate(None)
    fixed = len(bytes.fromhex(text.split("HH")[1].replace("BLOCK", ""))) if "HH" in text else 0
    return bytes.fromhex(text.replace("HH", f"{fixed + len(block):02x}").replace("BLOCK", block.hex()))


def read(data: bytes) -> list[Frame]:
    return list(FrameReader(DEFAULT_LIMITS).frames(data))


@pytest.mark.parametrize(("frame", "text"), VECTORS)
def test_a_frame_is_written_as_the_draft_says(frame: Frame, text: str) -> None:
    assert serialize(frame, deflate) == wire(text)


@pytest.mark.parametrize(("frame", "text"), VECTORS)
def test_a_frame_is_read_as_the_draft_says(frame: Frame, text: str) -> None:
    assert read(wire(text)) == [frame]


def test_the_dictionary_is_the_drafts() -> None:
    assert len(DICTIONARY) == 1423
    assert hashlib.sha256(DICTIONARY).hexdigest() == "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


def test_a_header_block_of_gos_encoder_is_read() -> None:
    """With the best compression, names as they are spelt: `streamType` arrives as `streamtype`."""
    compressor = zlib.compressobj(level=9, zdict=DICTIONARY)
    flat = BLOCK.replace(b"streamtype", b"streamType")
    block = compressor.compress(flat) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert read(serialize(SynStream(1, HEADERS), lambda _: block)) == [SynStream(1, HEADERS)]


def test_frames_of_types_unknown_are_passed_over() -> None:
    unknown = bytes.fromhex("8003000a 00000005 0102030405")
    assert read(unknown + wire("80030006 00000004 01020304")) == [Ping(0x01020304)]


def test_the_reserved_bits_are_not_read() -> None:
    assert read(bytes.fromhex("80030003 00000008 80000007 00000005")) == [RstStream(7, 5)]
    assert read(bytes.fromhex("80030009 00000008 80000001 80000002")) == [WindowUpdate(1, 2)]
    assert read(bytes.fromhex("80030004 0000000c 00000001 03000007 00010000")) == [Settings(((7, 65536),))]
