"""`cri-shim smoke`: a smoke and conformance test for any CRI endpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cri_shim.cli.endpoint import endpoint_option
from cri_shim.cli.failure import Misconfigured, leaves

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cri_shim.smoke.suite import Settings

T = TypeVar("T")
_SIGNALLED = 128  # and the signal's number, as shells have it


@click.command(short_help="Test any CRI endpoint: containerd's, CRI-O's, ours.")
@endpoint_option
@click.option("--image-endpoint", default="", metavar="unix://PATH", help="Where images are, if elsewhere.")
@click.option("--image", default="", metavar="NAME", help="An image with a shell, pulled instead of the own one.")
@click.option("--registry-port", type=click.IntRange(0, 65535), default=0, help="Port for the own image; 0 for any.")
@click.option("--runtime-handler", default="", metavar="NAME", help="Run all pods with this handler.")
@click.option("--only", multiple=True, metavar="PATTERN", help="Run only such checks, or this capability.")
@click.option("--skip", multiple=True, metavar="PATTERN", help="Leave such checks out.")
@click.option("--require", multiple=True, metavar="PATTERN", help="Such checks have failed when they are skipped.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True, metavar="SECONDS")
@click.option("--parallel", type=click.IntRange(1, 64), default=4, show_default=True, help="Checks at once.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML there.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write JSON there.")
@click.option("--list", "is_list", is_flag=True, help="List the checks, and run none.")
@click.option("--sweep", "is_sweep", is_flag=True, help="Remove what killed runs have left, and run none.")
def command(
    endpoint: str,
    image_endpoint: str,
    image: str,
    registry_port: int,
    runtime_handler: str,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    require: tuple[str, ...],
    timeout: float,
    parallel: int,
    junit: Path | None,
    json_file: Path | None,
    *,
    is_list: bool,
    is_sweep: bool,
) -> None:
    """Test the CRI endpoint, of whatever runtime, on a node without a kubelet, which would remove unknown pods.

    Pods, containers and images of its own are made and removed again, also when it is interrupted; no others are
    touched. A PATTERN is as a shell's (`pods.*`), or the name of a capability (`pods`).

    \b
    Exit codes: 0  all passed, or were skipped for a reason
                1  some have failed, or something could not be removed
                2  wrong use, or no such endpoint, or nothing can be tested on it
    """  # noqa: D301  (click reads \b as: keep the lines)
    from cri_shim.smoke import catalog  # noqa: PLC0415  (--help should not wait for it)
    from cri_shim.smoke.run import Rules  # noqa: PLC0415
    from cri_shim.smoke.suite import Settings  # noqa: PLC0415

    _check_patterns(catalog.unmatched([*only, *skip, *require]))
    checks = catalog.chosen(only, skip)
    if is_list:
        click.echo(catalog.listed(checks))
    elif is_sweep:
        _sweep(endpoint, image_endpoint)
    else:
        rules = Rules(timeout, parallel, require)
        settings = Settings(endpoint, checks, image_endpoint, image, registry_port, runtime_handler, rules)
        _run(settings, junit, json_file)


def _check_patterns(unmatched: Sequence[str]) -> None:
    if unmatched:
        raise click.UsageError(f"no check matches {', '.join(unmatched)}; --list shows them all")


def _run(settings: Settings, junit: Path | None, json_file: Path | None) -> None:
    from rich.console import Console  # noqa: PLC0415  (as above)

    from cri_shim.smoke import suite  # noqa: PLC0415
    from cri_shim.smoke.report import json_report, junit_report, table  # noqa: PLC0415

    result, signal = _in_loop(suite.run, settings, Console(stderr=True))
    for file, write in ((junit, junit_report.document), (json_file, json_report.document)):
        if file:
            _write(file, write(result))
    shown = Console(width=None if sys.stdout.isatty() else table.WIDTH)
    table.show(result, shown)
    sys.exit(_SIGNALLED + signal if signal else int(not result.is_good))


def _sweep(endpoint: str, image_endpoint: str) -> None:
    from rich.console import Console  # noqa: PLC0415  (as above)

    from cri_shim.smoke import suite  # noqa: PLC0415

    left = _in_loop(suite.sweep_up, endpoint, image_endpoint, Console())
    for text in left:
        click.echo(f"not removed: {text}", err=True)
    sys.exit(int(bool(left)))


def _in_loop(function: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """What the function returns; an endpoint that can't be tested is told of in plain words, and the exit code is 2."""
    import anyio  # noqa: PLC0415  (as above)

    from cri_shim.errors import CriError  # noqa: PLC0415

    try:
        return anyio.run(function, *arguments)
    except CriError as error:
        raise Misconfigured(str(error)) from error
    except ExceptionGroup as group:
        matching, others = group.split(CriError)
        if matching is None or others is not None:
            raise
        raise Misconfigured("\n".join(dict.fromkeys(map(str, leaves(matching))))) from group


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"{file}: {error.strerror}") from error
