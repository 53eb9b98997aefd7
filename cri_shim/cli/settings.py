"""The options that change settings, for every command that reads them, and the settings that come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cri_shim.cli.failure import Misconfigured
from cri_shim.config import ConfigInvalid, default_files, load
from cri_shim.config.effective import LOG_FORMATS, LOG_LEVELS
from cri_shim.config.loader import CONTAINERD_FILE, OWN_FILE
from cri_shim.config.migrate import SHIM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cri_shim.config import Loaded

_SCHEME = "unix://"

_OPTIONS = (
    click.option(
        "--config",
        "files",
        metavar="FILE",
        multiple=True,
        help="A configuration file, containerd's or one with the same sections; may be repeated, the later ones win. "
        f"[default: {CONTAINERD_FILE} and {OWN_FILE}, as far as they exist]",
    ),
    click.option("--containerd-address", metavar="PATH", help="containerd's socket.  [config: grpc.address]"),
    click.option("--listen", metavar="unix://PATH", help="Where the CRI is served.  [config: address]"),
    click.option("--root", metavar="DIR", help="containerd's directory of durable data.  [config: root]"),
    click.option("--state", metavar="DIR", help="containerd's directory of data until reboot.  [config: state]"),
    click.option("--log-level", type=click.Choice(LOG_LEVELS), help="The least that is logged.  [config: log_level]"),
    click.option("--log-format", type=click.Choice(LOG_FORMATS), help="How it is written.  [config: log_format]"),
)


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which hands them on to `settings_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_of(files: Sequence[str], **options: str | None) -> Loaded:
    """The settings of the files, or of the default ones, with the options on top. Exits with 2 when they can't be."""
    try:
        return load(files or default_files(), overrides(**options))
    except ConfigInvalid as error:
        problems = "".join(f"\n  {problem}" for problem in error.problems)
        raise Misconfigured(f"the configuration can't be used:{problems}") from error


def overrides(
    *,
    containerd_address: str | None = None,
    listen: str | None = None,
    root: str | None = None,
    state: str | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
) -> dict[str, object]:
    """The options that were given, as a tree in the layout of containerd's configuration, version 3."""
    ours = _given(address=listen, log_level=log_level, log_format=log_format)
    tree: dict[str, object] = _given(root=root, state=state)
    if containerd_address:
        tree["grpc"] = {"address": containerd_address.removeprefix(_SCHEME)}
    return {**tree, "plugins": {SHIM: ours}} if ours else tree


def _given(**options: str | None) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}
