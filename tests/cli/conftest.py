"""The command line as a user runs it, in this process."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from click.testing import CliRunner

from cri_shim.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

Run = "Callable[..., Result]"


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run `cri-shim` with arguments."""
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="cri-shim")


@pytest.fixture
def node_serves(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Put a function in the place of `cri_shim.node.serve`; logging is as before, afterwards."""

    def put(serve: Any) -> None:
        module = ModuleType("cri_shim.node")
        module.serve = serve  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "cri_shim.node", module)

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield put
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
