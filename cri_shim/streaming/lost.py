"""How a stream says that the client is gone, or has had enough."""

from __future__ import annotations

import anyio

LOST = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
