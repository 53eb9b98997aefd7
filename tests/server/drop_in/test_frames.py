"""HTTP/2 as it passes by, against connections that h2 makes."""

from __future__ import annotations

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import ContinuationFrame, HeadersFrame
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.errors import InvalidArgument
from cri_shim.server.drop_in.frames import (
    HEADERS,
    NO_SETTINGS,
    PREFACE,
    CallReader,
    Frame,
    FrameCutter,
    Kind,
    first_path,
    is_cri,
)

PATHS = ("/containerd.services.images.v1.Images/List", "/runtime.v1.RuntimeService/Version", "/a.B/C")
calls = st.lists(
    st.tuples(st.sampled_from(PATHS), st.binary(max_size=300), st.text("abcxyz-", max_size=40)), max_size=8
)
cuts = st.lists(st.integers(1, 60), min_size=1, max_size=30)


def conversation(made: list[tuple[str, bytes, str]]) -> bytes:
    """What a client sends that makes these calls: path, message, a header's value."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for number, (path, message, value) in enumerate(made):
        stream = 2 * number + 1
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("value", value)]
        client.send_headers(stream, headers)
        client.send_data(stream, message, end_stream=True)
    return bytes(client.data_to_send())


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    cut, at = [], 0
    while at < len(data):
        size = sizes[len(cut) % len(sizes)]
        cut.append(data[at : at + size])
        at += size
    return cut


def raw(piece: bytes | Frame) -> bytes:
    return piece.raw if isinstance(piece, Frame) else piece


@given(calls, cuts, st.sampled_from([frozenset(), HEADERS, HEADERS | {Kind.DATA}, None]))
def test_whatever_is_watched_and_however_it_arrives_all_of_it_passes(made, sizes, watched):
    data = conversation(made)[len(PREFACE) :]
    cutter = FrameCutter(watched)
    assert b"".join(raw(out) for part in pieces(data, sizes) for out in cutter.cut(part)) == data
    assert cutter.between_frames


@given(calls, cuts)
def test_every_call_is_seen_with_its_path(made, sizes):
    cutter, reader = FrameCutter(HEADERS), CallReader()
    data = conversation(made)[len(PREFACE) :]
    seen = [
        (out.stream, reader.path(out))
        for part in pieces(data, sizes)
        for out in cutter.cut(part)
        if isinstance(out, Frame)
    ]
    assert seen == [(2 * number + 1, path) for number, (path, _, _) in enumerate(made)]


@given(calls, cuts)
def test_the_first_path_is_known_as_soon_as_its_headers_are_there(made, sizes):
    data, so_far = conversation(made), b""
    for part in pieces(data, sizes):
        so_far += part
        found = first_path(so_far)
        assert found in (None, made[0][0] if made else None)
    assert found == (made[0][0] if made else None)


@given(st.binary(max_size=200))
def test_what_is_no_connection_is_refused_and_nothing_else_happens(data):
    if not data.startswith(PREFACE[: len(data)]):
        with pytest.raises(InvalidArgument, match="gRPC is served here"):
            first_path(data)


@given(st.binary(max_size=400), cuts)
def test_frames_of_nonsense_are_passed_or_refused(data, sizes):
    cutter, reader = FrameCutter(HEADERS), CallReader()
    passed = b""
    try:
        for part in pieces(data, sizes):
            for out in cutter.cut(part):
                passed += raw(out)
                if isinstance(out, Frame):
                    reader.path(out)
    except InvalidArgument:
        pass
    assert data.startswith(passed)


def test_calls_alike_are_read_alike_whatever_changes_the_table_between_them():
    client, reader, seen = H2Connection(H2Configuration(client_side=True)), CallReader(), []
    client.initiate_connection()
    client.clear_outbound_data_buffer()
    for number in range(200):
        headers = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", PATHS[number % 2])]
        if number % 7 == 6:  # pushes the paths' places in the table on, and out of it
            headers.append((f"name-{number}", "x" * 1000))
        client.send_headers(2 * number + 1, headers)
        seen += [reader.path(out) for out in FrameCutter(HEADERS).cut(client.data_to_send()) if isinstance(out, Frame)]
    assert seen == [PATHS[number % 2] for number in range(200)]


def test_headers_in_several_frames_are_read_as_one_and_nothing_may_come_between():
    block = H2Connection().encoder.encode([(":path", "/a.B/C"), ("long", "x" * 100)])
    first, last = HeadersFrame(1, block[:20]), ContinuationFrame(1, block[20:], flags=["END_HEADERS"])
    cutter, reader = FrameCutter(HEADERS), CallReader()
    (beginning,) = cutter.cut(first.serialize())
    assert isinstance(beginning, Frame)
    assert reader.path(beginning) is None
    assert not cutter.between_frames
    (end,) = cutter.cut(last.serialize())
    assert isinstance(end, Frame)
    assert reader.path(end) == "/a.B/C"
    assert cutter.between_frames


def test_padding_and_priority_are_no_part_of_the_headers():
    block = H2Connection().encoder.encode([(":path", "/a.B/C")])
    frame = HeadersFrame(3, block, flags=["END_HEADERS", "PADDED", "PRIORITY"], pad_length=7, depends_on=1)
    (whole,) = FrameCutter(HEADERS).cut(frame.serialize())
    assert isinstance(whole, Frame)
    assert CallReader().path(whole) == "/a.B/C"


def test_nothing_may_be_put_into_a_frame_that_passes():
    cutter = FrameCutter(frozenset())
    frame = conversation([("/a.B/C", b"message", "")])[len(PREFACE) :]
    assert cutter.between_frames
    list(cutter.cut(frame[:-3]))
    assert not cutter.between_frames
    list(cutter.cut(frame[-3:]))
    assert cutter.between_frames


def test_a_watched_frame_longer_than_frames_are_is_refused():
    with pytest.raises(InvalidArgument, match="an HTTP/2 frame of 65545 bytes"):
        list(FrameCutter(HEADERS).cut(b"\x01\x00\x00\x01\x04\x00\x00\x00\x01"))


def test_headers_without_end_are_refused():
    cutter, reader = FrameCutter(HEADERS), CallReader()
    more = HeadersFrame(1, b"\x00" * 16000).serialize(), ContinuationFrame(1, b"\x00" * 16000).serialize()
    with pytest.raises(InvalidArgument, match="the headers of a call have more than 1048576 bytes"):
        for number in range(100):
            (frame,) = cutter.cut(more[number > 0])
            assert isinstance(frame, Frame)
            reader.path(frame)


def test_a_client_that_never_calls_is_not_remembered_for_ever():
    with pytest.raises(InvalidArgument, match="begins no call within 65536 bytes"):
        first_path(PREFACE + NO_SETTINGS * 10000)


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/runtime.v1.RuntimeService/Version", True),
        ("/runtime.v1alpha2.ImageService/ListImages", True),
        ("/containerd.services.version.v1.Version/Version", False),
        ("/grpc.health.v1.Health/Check", False),
        ("", False),
    ],
)
def test_the_cri_in_whatever_version_is_ours(path, ours):
    assert is_cri(path) is ours
