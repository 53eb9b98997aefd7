"""Sizes from a stream of JSON objects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_shim.cri.remote_streams import TerminalSize
from cri_shim.streaming.resizes import SizeParser

sides = st.integers(1, 65535)


@settings(deadline=None)
@given(st.lists(st.tuples(sides, sides)), st.sampled_from(["", "\n", " \n"]), st.integers(1, 40))
def test_sizes_are_read_in_whatever_pieces_they_come(sizes: list[tuple[int, int]], between: str, piece: int) -> None:
    text = between.join(json.dumps({"Width": width, "Height": height}) for width, height in sizes).encode()
    parser = SizeParser()
    found = [size for at in range(0, len(text), piece) for size in parser.sizes(text[at : at + piece])]
    assert found == [TerminalSize(*size) for size in sizes]


def test_sizes_with_no_extent_are_passed_over_and_names_are_read_in_any_case() -> None:
    text = b'{"Width":0,"Height":5}{"Width":5}{}{"width":7,"height":8,"more":[1]}'
    assert SizeParser().sizes(text) == [TerminalSize(7, 8)]


@pytest.mark.parametrize(
    "text",
    [b"x", b"[80,24]", b'"80"', b'{"Width":"80","Height":24}', b'{"Width":-1,"Height":24}',
     b'{"Width":65536,"Height":1}', b'{"Width":' + b"[" * 60_000,
     b"\xff", b'{"Width":' + b" " * 5000, b'{"Width":1.5,"Height":1}', b'{"Width":true,"Height":1}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_size_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        SizeParser().sizes(text)
