"""The option that says which CRI endpoint a command speaks to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = "unix:///run/cri-shim/cri-shim.sock"


def endpoint_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--endpoint`; crictl's variable is understood, too."""
    option = click.option(
        "--endpoint",
        envvar="CONTAINER_RUNTIME_ENDPOINT",
        default=DEFAULT,
        show_default=True,
        metavar="unix://PATH",
        help="The CRI endpoint; also $CONTAINER_RUNTIME_ENDPOINT.",
    )
    return option(command)
