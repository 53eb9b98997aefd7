"""Configuration files written for a test, and their settings."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from cri_shim.config import Loaded, load

if TYPE_CHECKING:
    from pathlib import Path

Reader = Callable[..., Loaded]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """`read(main, **others)`: what `main` gives; another text is beside it under its name + `.toml`."""

    def read(main: str, **others: str) -> Loaded:
        for name, text in {"main": main, **others}.items():
            (tmp_path / f"{name}.toml").write_text(dedent(text))
        return load([str(tmp_path / "main.toml")])

    return read
