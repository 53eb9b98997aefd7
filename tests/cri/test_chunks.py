"""Long lists in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import decode, item
from cri_shim.cri.chunks import MOST_BYTES, MOST_ITEMS, chunks


@given(st.lists(st.integers(0, MOST_BYTES // 3), max_size=12))
def test_all_items_arrive_in_order_and_no_piece_is_too_long(sizes):
    items = [bytes(size) for size in sizes]
    pieces = [piece.data for piece in chunks(cri.StreamContainersResponse, items)]
    assert b"".join(pieces) == b"".join(items)
    assert all(len(piece) <= MOST_BYTES for piece in pieces)


def test_no_items_make_no_message_and_one_that_is_too_long_goes_alone():
    assert list(chunks(cri.StreamContainersResponse, [])) == []
    long = bytes(MOST_BYTES + 1)
    assert [piece.data for piece in chunks(cri.StreamContainersResponse, [b"a", long, b"b"])] == [b"a", long, b"b"]


def test_a_piece_has_at_most_so_many_items():
    items = [item(1, cri.Container(id=str(number))) for number in range(MOST_ITEMS + 1)]
    pieces = [decode(piece.kind, piece.data) for piece in chunks(cri.StreamContainersResponse, items)]
    assert [len(piece.containers) for piece in pieces] == [MOST_ITEMS, 1]
    assert pieces[1].containers[0].id == str(MOST_ITEMS)
