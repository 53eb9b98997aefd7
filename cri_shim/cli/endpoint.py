"""The option that says which CRI endpoint a command speaks to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = "unix:///run/cri-shim/cri-shim.sock"


def configured() -> str:
    """The endpoint of this node's cri-shim by its configuration; `DEFAULT` where that can't be used."""
    from cri_shim.config import ConfigInvalid, default_files, load  # noqa: PLC0415  (an endpoint that is given is used)

    try:
        address = load(default_files()).settings.shim.address
    except ConfigInvalid:
        return DEFAULT
    return f"unix://{address.removeprefix('unix://')}"


def endpoint_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--endpoint`; crictl's variable is understood, too."""
    option = click.option(
        "--endpoint",
        envvar="CONTAINER_RUNTIME_ENDPOINT",
        default=configured,
        show_default=False,
        metavar="unix://PATH",
        help="The CRI endpoint; also $CONTAINER_RUNTIME_ENDPOINT.  [default: by this node's configuration]",
    )
    return option(command)
