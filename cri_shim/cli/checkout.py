"""The way to what only a source checkout has beside the package: the harness that makes private nodes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cri_shim
from cri_shim.cli.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import ModuleType

    from integration.harness.assembly import RunningNode

_ROOT = Path(cri_shim.__file__).resolve().parents[1]


def demo_node(**options: object) -> AbstractContextManager[RunningNode]:
    """A node with everything; the options are those of `integration.harness.demo_node`."""
    made = _imported("integration.harness").demo_node
    return cast("Callable[..., AbstractContextManager[RunningNode]]", made)(**options)


def harness_error() -> type[Exception]:
    """What the harness raises: the machine lacks something, and its text says what mends it."""
    return cast("type[Exception]", _imported("integration.harness.errors").HarnessError)


def sandbox_image() -> str:
    """The image of the sandbox container in the harness's nodes."""
    return cast("str", _imported("integration.harness.containerd").PAUSE)


def _imported(module: str) -> ModuleType:
    """A module of the checkout's. Raises Failure where there is none."""
    if not (_ROOT / "integration" / "harness").is_dir():
        raise Failure(
            "the demo's node is made by the source checkout, and this cri-shim is installed without one\n"
            "  in a clone of the project: make demo"
        )
    if str(_ROOT) not in sys.path:
        sys.path.insert(0, str(_ROOT))
    return importlib.import_module(module)
