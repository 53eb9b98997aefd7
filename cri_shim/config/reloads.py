"""Settings that are taken over while serving: who asked for them hears of new ones when the files are read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cri_shim.config.settings import Settings


class Reloads:
    """Those who take over; calling it has each of them do so, in a thread that may block."""

    def __init__(self) -> None:
        self._takers: list[Callable[[Settings], None]] = []

    def taken_by(self, take: Callable[[Settings], None]) -> None:
        """From now on, `take` hears of new settings. It blocks as long as it likes, and may raise OSError."""
        self._takers.append(take)

    def __call__(self, settings: Settings) -> None:
        """Hand them on."""
        for take in self._takers:
            take(settings)
