"""Pulls on a terminal: a bar for each layer as it comes; elsewhere a line for each that is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import anyio
import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.image.pulls import PullUnderWay
from cri_shim.errors import Unimplemented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.cli.cri_client import CriClient

POLL_SECONDS: Final = 0.3  # as often as containerd tells
_SHOWN: Final = 12  # hex digits of a digest
_DONE: Final = ("complete", "already exists", "extracted")


async def under_way(client: CriClient) -> list[PullUnderWay]:
    """How far each pull of an endpoint is. Raises Unimplemented for another runtime's, which doesn't tell."""
    info = (await client.runtime.status(cri.StatusRequest(verbose=True))).info
    if "pulls" not in info:
        raise Unimplemented("this endpoint doesn't tell how far its pulls are: it is not cri-shim")
    return msgspec.json.decode(info["pulls"], type=list[PullUnderWay])


class Bars:
    """What is seen of the pulls; call `show` with how far they are, again and again."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.fields[image]}"),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("{task.fields[state]}"),
            console=self._console,
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, pulls: Sequence[PullUnderWay]) -> None:
        """Have the bars be these pulls'; those of a pull that has ended go."""
        shown = {(pull.image, name) for pull in pulls for name in pull.blobs}
        for gone in self._tasks.keys() - shown:
            self._progress.remove_task(self._tasks.pop(gone))
        for pull in pulls:
            for name, blob in pull.blobs.items():
                key = (pull.image, name)
                if self._console.is_terminal:
                    self._bar(key, blob.done if blob.state not in _DONE else blob.total, blob.total, blob.state)
                elif blob.state in _DONE and key not in self._told:
                    self._told.add(key)
                    click.echo(f"{pull.image} {_short(name)} {blob.total} bytes, {blob.state}", err=True)

    def _bar(self, key: tuple[str, str], done: int, total: int, state: str) -> None:
        image, name = key
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(_short(name), image=image, state=state, total=total or None)
        self._progress.update(self._tasks[key], completed=done, total=total or None, state=state)


async def follow(client: CriClient, bars: Bars) -> None:
    """Show the pulls until cancelled."""
    while True:
        bars.show(await under_way(client))
        await anyio.sleep(POLL_SECONDS)


def _short(name: str) -> str:
    kind, _, digest = name.partition("-")
    return f"{kind} {digest.rpartition(':')[2][:_SHOWN]}"
