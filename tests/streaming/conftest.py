"""The streaming server, served to a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_shim.config.settings import StreamingSettings
from tests.streaming.serving import Served, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def served(anyio_backend: str) -> AsyncIterator[Served]:  # noqa: ARG001
    async with serving(StreamingSettings()) as found:
        yield found
