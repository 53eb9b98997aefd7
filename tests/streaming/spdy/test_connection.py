"""A client's connection and a server's, joined in memory."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cri_shim.streaming.spdy.connection import Connection, Side
from cri_shim.streaming.spdy.events import (
    DataReceived,
    Event,
    GoneAway,
    StreamEnded,
    StreamOpened,
    StreamReplied,
    StreamReset,
    WindowOpened,
)
from cri_shim.streaming.spdy.faults import GoAwayStatus, LocalFault, RemoteFault, ResetStatus
from cri_shim.streaming.spdy.frame_reader import FrameReader
from cri_shim.streaming.spdy.frames import (
    Data,
    Frame,
    GoAway,
    Ping,
    RstStream,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
    serialize,
)
from cri_shim.streaming.spdy.header_block import HeaderDeflater
from cri_shim.streaming.spdy.limits import DEFAULT_LIMITS, Limits
from cri_shim.streaming.spdy.states import FAULTS, TRANSITIONS, Half, Sent
from cri_shim.streaming.spdy.windows import INITIAL


class Peer:
    """A client made of frames alone, which may send anything, and a server's connection."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.server = Connection(limits=limits)
        self._deflater = HeaderDeflater()
        self._reader = FrameReader(DEFAULT_LIMITS)

    def send(self, *frames: Frame) -> list[Event]:
        return self.server.receive(b"".join(serialize(frame, self._deflater.block) for frame in frames))

    def answers(self) -> list[Frame]:
        return list(self._reader.frames(self.server.data_to_send()))


def test_a_stream_lives_from_its_opening_to_both_its_ends() -> None:
    peer = Peer()
    assert peer.send(SynStream(1, (("streamtype", "stdin"),))) == [StreamOpened(1, (("streamtype", "stdin"),))]
    peer.server.reply(1)
    peer.server.send(1, b"out")
    assert peer.answers() == [SynReply(1), Data(1, b"out")]
    assert peer.send(Data(1, b"in"), Data(1, b"", fin=True)) == [DataReceived(1, b"in"), StreamEnded(1)]
    assert peer.server.is_open(1)
    peer.server.end(1)
    assert peer.answers() == [Data(1, b"", fin=True)]
    assert not peer.server.is_open(1)


def test_every_state_and_sending_is_in_one_table() -> None:
    assert TRANSITIONS.keys() | FAULTS.keys() == {(half, sent) for half in Half for sent in Sent}
    assert not TRANSITIONS.keys() & FAULTS.keys()


def test_a_fault_on_a_stream_ends_that_stream_alone() -> None:
    peer = Peer()
    peer.send(SynStream(1, fin=True), SynStream(3))
    assert peer.send(Data(1, b"late")) == [StreamReset(1, ResetStatus.STREAM_ALREADY_CLOSED)]
    assert peer.send(SynReply(3)) == [StreamReset(3, ResetStatus.STREAM_IN_USE)]
    assert peer.answers() == [
        RstStream(1, ResetStatus.STREAM_ALREADY_CLOSED),
        RstStream(3, ResetStatus.STREAM_IN_USE),
    ]


def test_a_stream_nobody_opened_is_reset_and_one_that_was_is_not() -> None:
    peer = Peer()
    peer.send(SynStream(1))
    peer.server.reset(1)
    assert peer.answers() == [RstStream(1, ResetStatus.CANCEL)]
    assert peer.send(Data(1, b"on its way")) == []
    assert peer.answers() == []
    assert peer.send(Data(3, b"of nothing")) == []
    assert peer.answers() == [RstStream(3, ResetStatus.INVALID_STREAM)]


@pytest.mark.parametrize("stream_id", [0, 2, 1])
def test_streams_open_in_order_and_of_the_clients_parity(stream_id: int) -> None:
    peer = Peer()
    peer.send(SynStream(1))
    with pytest.raises(RemoteFault, match=f"stream {stream_id} opened"):
        peer.send(SynStream(stream_id))
    assert peer.answers() == [GoAway(1, GoAwayStatus.PROTOCOL_ERROR)]


def test_streams_beyond_the_limit_are_refused_until_others_end() -> None:
    peer = Peer(Limits(streams=2))
    peer.send(SynStream(1), SynStream(3))
    assert peer.send(SynStream(5, (("a", "b"),))) == []
    assert peer.answers() == [RstStream(5, ResetStatus.REFUSED_STREAM)]
    peer.send(RstStream(1, ResetStatus.CANCEL))
    assert peer.send(SynStream(7, (("a", "b"),))) == [StreamOpened(7, (("a", "b"),))]


def test_pings_of_the_client_are_sent_back_and_others_are_not() -> None:
    peer = Peer()
    peer.send(Ping(1), Ping(2), Ping(3))
    assert peer.answers() == [Ping(1), Ping(3)]


def test_a_unidirectional_stream_is_not_answered() -> None:
    peer = Peer()
    peer.send(SynStream(1, unidirectional=True))
    with pytest.raises(LocalFault, match="CLOSED"):
        peer.server.reply(1)
    assert peer.send(Data(1, b"", fin=True)) == [StreamEnded(1)]
    assert not peer.server.is_open(1)


def test_nothing_is_sent_before_the_reply_nor_after_the_end() -> None:
    peer = Peer()
    peer.send(SynStream(1))
    with pytest.raises(LocalFault, match="WAITING"):
        peer.server.send(1, b"early")
    peer.server.reply(1)
    with pytest.raises(LocalFault, match="OPEN"):
        peer.server.reply(1)
    peer.server.end(1)
    with pytest.raises(LocalFault, match="CLOSED"):
        peer.server.send(1, b"late")


def test_after_goaway_no_stream_opens_and_the_others_go_on() -> None:
    peer = Peer()
    assert peer.send(SynStream(1), GoAway(0, 0), SynStream(3)) == [StreamOpened(1, ()), GoneAway(0, 0)]
    peer.server.reply(1)
    peer.server.send(1, b"still")
    assert peer.answers() == [SynReply(1), Data(1, b"still")]


def test_a_client_that_keeps_no_windows_is_never_waited_for() -> None:
    peer = Peer()
    peer.send(SynStream(1))
    peer.server.reply(1)
    for _ in range(100):
        assert peer.server.room(1) is None
        peer.server.send(1, bytes(INITIAL))


def test_a_client_that_keeps_windows_is_sent_no_more_than_they_hold() -> None:
    peer = Peer()
    peer.send(SynStream(1), SynStream(3))
    for stream_id in (1, 3):
        peer.server.reply(stream_id)
    peer.server.send(1, bytes(INITIAL + 100))  # it has not yet shown that it counts
    assert peer.send(WindowUpdate(1, 300)) == [WindowOpened(1)]
    assert peer.server.room(1) == 0  # the connection's window is closed
    assert peer.send(WindowUpdate(0, INITIAL)) == [WindowOpened(0)]
    assert peer.server.room(1) == 200
    with pytest.raises(LocalFault, match="whose window is 200"):
        peer.server.send(1, bytes(201))
    assert peer.send(Settings(((7, 100),))) == [WindowOpened(0)]
    assert peer.server.room(1) == 0
    assert peer.server.room(3) == 100


def test_windows_beyond_their_size_are_faults() -> None:
    peer = Peer()
    peer.send(SynStream(1))
    assert peer.send(WindowUpdate(1, 2**31 - 1)) == [StreamReset(1, ResetStatus.FLOW_CONTROL_ERROR)]
    with pytest.raises(RemoteFault, match="2 GiB"):
        peer.send(WindowUpdate(0, 2**31 - 1))


def test_a_client_that_keeps_windows_may_always_send_again() -> None:
    """Also after bytes of a stream that was reset: they count for the connection."""
    peer = Peer()
    peer.send(SynStream(1), SynStream(3))
    peer.server.reset(3)
    room = {0: INITIAL, 1: INITIAL, 3: INITIAL}
    peer.answers()
    for stream_id in [1] * 20 + [3] * 2 + [1] * 20:
        length = min(10_000, room[0], room[stream_id])
        assert length
        for event in peer.send(Data(stream_id, bytes(length))):
            assert isinstance(event, DataReceived)
            peer.server.read(1, length)
        room[0] -= length
        room[stream_id] -= length
        for answer in peer.answers():
            assert isinstance(answer, WindowUpdate)
            room[answer.stream_id] += answer.delta
            assert room[answer.stream_id] <= INITIAL


def test_a_client_that_overruns_its_window_is_told_no_more_of_windows() -> None:
    peer = Peer()
    peer.send(SynStream(1))
    peer.send(Data(1, bytes(INITIAL)))
    peer.server.read(1, INITIAL)
    assert sorted(peer.answers(), key=repr) == [WindowUpdate(0, INITIAL), WindowUpdate(1, INITIAL)]
    peer.send(Data(1, bytes(INITIAL + 1)))
    peer.server.read(1, INITIAL + 1)
    assert peer.answers() == []


class TwoEnds(RuleBasedStateMachine):
    """A client and a server that do what is allowed, in any order, agree on everything and find no fault."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = {Side.CLIENT: Connection(Side.CLIENT), Side.SERVER: Connection(Side.SERVER)}
        self.sent: dict[tuple[Side, int], bytes] = {}
        self.got: dict[tuple[Side, int], bytes] = {}
        self.finished: set[tuple[Side, int]] = set()
        self.ended: set[tuple[Side, int]] = set()
        self.unreplied: set[int] = set()
        self.may_send: set[tuple[Side, int]] = set()

    @rule()
    def open(self) -> None:
        stream_id = self.ends[Side.CLIENT].open((("streamtype", "stdin"),))
        self.may_send.add((Side.CLIENT, stream_id))

    @precondition(lambda self: self.unreplied)
    @rule()
    def reply(self) -> None:
        stream_id = self.unreplied.pop()
        self.ends[Side.SERVER].reply(stream_id)
        self.may_send.add((Side.SERVER, stream_id))

    @precondition(lambda self: self.may_send)
    @rule(data=st.data(), payload=st.binary(max_size=50_000), fin=st.booleans())
    def send(self, data: st.DataObject, payload: bytes, *, fin: bool) -> None:
        side, stream_id = data.draw(st.sampled_from(sorted(self.may_send)))
        room = self.ends[side].room(stream_id)
        payload = payload[:room]
        self.ends[side].send(stream_id, payload)
        self.sent[side, stream_id] = self.sent.get((side, stream_id), b"") + payload
        if fin:
            self.ends[side].end(stream_id)
            self.finished.add((side, stream_id))
            self.may_send.remove((side, stream_id))

    @rule(side=st.sampled_from(Side))
    def deliver(self, side: Side) -> None:
        other = Side(1 - side)
        for event in self.ends[other].receive(self.ends[side].data_to_send()):
            match event:
                case StreamOpened(stream_id, headers):
                    assert headers == (("streamtype", "stdin"),)
                    self.unreplied.add(stream_id)
                case DataReceived(stream_id, payload):
                    self.got[side, stream_id] = self.got.get((side, stream_id), b"") + payload
                    self.ends[other].read(stream_id, len(payload))
                case StreamEnded(stream_id):
                    self.ended.add((side, stream_id))
                case _:
                    assert isinstance(event, (StreamReplied, WindowOpened)), event

    @invariant()
    def what_came_was_sent(self) -> None:
        for key, data in self.got.items():
            assert self.sent[key].startswith(data)
        assert self.ended <= self.finished

    def teardown(self) -> None:
        for _ in range(2):
            for side in Side:
                self.deliver(side)
        assert {key: data for key, data in self.sent.items() if data} == self.got
        assert self.ended == self.finished


TwoEnds.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestTwoEnds = TwoEnds.TestCase
