"""What every unit test shares: asyncio as the only loop that the project runs on."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
