"""The client's terminal as its size changes: JSON objects, one after another, `{"Width":80,"Height":24}`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ObjectReceiveStream

from cri_shim.cri.remote_streams import TerminalSize

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream

_LONGEST = 4096  # bytes of one object; a real one has about 30
_LARGEST = 0xFFFF
_DECODER = json.JSONDecoder()


class SizeParser:
    """Bytes to sizes, whatever pieces they come in."""

    def __init__(self) -> None:
        self._text = ""

    def sizes(self, data: bytes) -> list[TerminalSize]:
        """The sizes that `data` completes. Raises ValueError for what is no size, and can't be skipped."""
        text = (self._text + data.decode("ascii")).lstrip()
        found = []
        while text:
            try:
                value, end = _DECODER.raw_decode(text)
            except json.JSONDecodeError:
                break  # not yet whole, or never
            except RecursionError as error:
                raise ValueError("a terminal's size can't be so deep") from error
            found += _sizes(value)
            text = text[end:].lstrip()
        if len(text) > _LONGEST or (text and text[0] != "{"):
            raise ValueError(f"a terminal's size can't begin with {text[:40]!r}")
        self._text = text
        return found


def _sizes(value: Any) -> list[TerminalSize]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is not a terminal's size")  # noqa: TRY004  (it is the text that is wrong)
    fields = {str(name).lower(): number for name, number in value.items()}  # as Go reads JSON
    sides = [fields.get("width", 0), fields.get("height", 0)]
    if not all(type(side) is int and 0 <= side <= _LARGEST for side in sides):
        raise ValueError(f"a terminal's size can't be {value!r}")
    return [TerminalSize(*sides)] if all(sides) else []


class Resizes(ObjectReceiveStream[TerminalSize]):
    """The newest size that was not yet taken: nobody wants the ones between."""

    def __init__(self) -> None:
        self._newest: TerminalSize | None = None
        self._ended = False
        self._news = anyio.Event()

    async def read_from(self, source: ByteReceiveStream) -> None:
        """Take sizes from the client until it sends no more, or what is no size."""
        parser = SizeParser()
        try:
            async for data in source:
                for size in parser.sizes(data):
                    self._newest = size
                    self._news.set()
        except (ValueError, anyio.ClosedResourceError):
            pass
        finally:
            await source.aclose()  # what still comes is dropped
            await self.aclose()

    async def receive(self) -> TerminalSize:
        """The next size; EndOfStream after the last."""
        while self._newest is None:
            if self._ended:
                raise anyio.EndOfStream
            self._news = anyio.Event()
            await self._news.wait()
        size, self._newest = self._newest, None
        return size

    async def aclose(self) -> None:
        """No more sizes."""
        self._ended = True
        self._news.set()
