"""Frames in whatever pieces they come, and what can't be a frame."""

from __future__ import annotations

import zlib
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_shim.streaming.spdy.dictionary import DICTIONARY
from cri_shim.streaming.spdy.faults import RemoteFault
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
from cri_shim.streaming.spdy.header_block import HeaderDeflater
from cri_shim.streaming.spdy.limits import DEFAULT_LIMITS

ids = st.integers(1, 2**31 - 1)
words = st.integers(0, 2**32 - 1)
text = st.text(st.characters(codec="utf-8"), max_size=20)
headers = st.lists(st.tuples(st.from_regex("[a-z-]{1,9}", fullmatch=True), text), max_size=5).map(tuple)
frames = st.one_of(
    st.builds(Data, ids, st.binary(max_size=300), st.booleans()),
    st.builds(SynStream, ids, headers, st.booleans(), st.booleans()),
    st.builds(SynReply, ids, headers, st.booleans()),
    st.builds(MoreHeaders, ids, headers, st.booleans()),
    st.builds(RstStream, ids, words),
    st.builds(Settings, st.lists(st.tuples(st.integers(0, 2**24 - 1), words), max_size=4).map(tuple)),
    st.builds(Ping, words),
    st.builds(GoAway, ids, words),
    st.builds(WindowUpdate, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)),
)


def joined(found: list[Frame]) -> list[Frame]:
    """Pieces of DATA put together, frame by frame is not kept: only bytes and ends count."""
    out: list[Frame] = []
    for frame in found:
        last = out[-1] if out else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream_id == frame.stream_id and not last.fin:
            out[-1] = Data(frame.stream_id, last.data + frame.data, frame.fin)
        else:
            out.append(frame)
    return out


@settings(deadline=None)
@given(st.lists(frames, max_size=12), st.data())
def test_frames_are_read_back_in_whatever_pieces_they_come(sent: list[Frame], data: st.DataObject) -> None:
    deflater = HeaderDeflater()
    stream = b"".join(serialize(frame, deflater.block) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    reader = FrameReader(DEFAULT_LIMITS)
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert joined([frame for piece in pieces for frame in reader.frames(piece)]) == joined(sent)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_frames_or_a_fault(pieces: list[bytes]) -> None:
    reader = FrameReader(DEFAULT_LIMITS)
    with suppress(RemoteFault):
        for piece in pieces:
            list(reader.frames(piece))


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([1, 2, 8]))
def test_any_bytes_are_a_header_block_or_a_fault(flat: bytes, kind: int) -> None:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    block = compressor.compress(flat) + compressor.flush(zlib.Z_SYNC_FLUSH)
    payload = bytes(10 if kind == 1 else 4) + block
    with suppress(RemoteFault):
        list(FrameReader(DEFAULT_LIMITS).frames(pack(">II", 0x80030000 | kind, len(payload)) + payload))


def syn_stream(flat: bytes, *, end: int = zlib.Z_SYNC_FLUSH, zdict: bytes = DICTIONARY) -> bytes:
    compressor = zlib.compressobj(level=9, zdict=zdict)
    payload = bytes(10) + compressor.compress(flat) + compressor.flush(end)
    return pack(">II", 0x80030001, len(payload)) + payload


def header(name: bytes, value: bytes) -> bytes:
    return pack(">I", len(name)) + name + pack(">I", len(value)) + value


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x80\x02\x00\x06" + bytes(8), "version 2"),
        (pack(">II", 0x80030006, 5) + bytes(5), "PING frame of 5 bytes"),
        (pack(">II", 0x80030001, 9) + bytes(9), "SYN_STREAM frame of 9 bytes"),
        (pack(">II", 0x80030004, 12) + pack(">I", 2) + bytes(8), "SETTINGS frame of 2 values"),
        (pack(">II", 0x80030008, 1 << 20), "1048576 bytes, more than"),
        (pack(">II", 0, 1) + b"x", "stream 0"),
        (pack(">II", 0x80030001, 20) + bytes(20), "can't be inflated"),
        (syn_stream(pack(">I", 0), zdict=b"another"), "can't be inflated"),
        (syn_stream(pack(">I", 0), end=zlib.Z_FINISH), "ends the stream"),
        (syn_stream(pack(">I", 101)), "101 headers"),
        (syn_stream(pack(">I", 1)), "ends too soon"),
        (syn_stream(pack(">I", 1) + pack(">I", 0xFFFFFFFF)), "ends too soon"),
        (syn_stream(pack(">I", 0) + b"x"), "1 bytes after the last"),
        (syn_stream(pack(">I", 1) + header(b"bomb", bytes(10 << 20))), "inflates to more than"),
    ],
)
def test_what_can_t_be_a_frame_is_a_fault(data: bytes, says: str) -> None:
    with pytest.raises(RemoteFault, match=says):
        list(FrameReader(DEFAULT_LIMITS).frames(data))


def test_a_long_data_frame_is_passed_on_as_it_comes() -> None:
    reader = FrameReader(DEFAULT_LIMITS)
    assert list(reader.frames(pack(">II", 1, 0x01FFFFFF))) == []
    for _ in range(3):
        assert list(reader.frames(b"x" * 1000)) == [Data(1, b"x" * 1000)]
    rest = 0xFFFFFF - 3000
    assert list(reader.frames(b"x" * rest)) == [Data(1, b"x" * rest, fin=True)]
