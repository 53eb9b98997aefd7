"""From samples to a table: medians, tails and ratios. Pure."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MILLISECONDS = "ms"
MEGABYTES_PER_SECOND = "MB/s"


@dataclass(frozen=True)
class Row:
    """One work: what each endpoint took, in `unit`. `ours` and `peer` are medians."""

    work: str
    unit: str
    ours_samples: tuple[float, ...]
    peer_samples: tuple[float, ...] = field(default=())

    @property
    def ours(self) -> float:
        return percentile(self.ours_samples, 50)

    @property
    def peer(self) -> float | None:
        return percentile(self.peer_samples, 50) if self.peer_samples else None

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's: below 1 is less time, CPU or memory, or less throughput."""
        return self.ours / self.peer if self.peer else None


def percentile(samples: Sequence[float], rank: float) -> float:
    """The `rank`-th percentile of `samples`, interpolated; of one sample, that sample."""
    if len(samples) == 1:
        return samples[0]
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    return cuts[min(98, max(0, round(rank) - 1))]


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    lines = [("work", "unit", "ours p50", "p95", "containerd p50", "p95", "ratio", "n")]
    for row in rows:
        peer = row.peer_samples
        lines.append(
            (
                row.work,
                row.unit,
                f"{row.ours:.2f}",
                f"{percentile(row.ours_samples, 95):.2f}",
                f"{row.peer:.2f}" if row.peer is not None else "-",
                f"{percentile(peer, 95):.2f}" if peer else "-",
                f"{row.ratio:.2f}" if row.ratio is not None else "-",
                str(len(row.ours_samples)),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    )  # fmt: skip


def to_json(rows: Sequence[Row]) -> str:
    """The rows as a document, samples included."""
    return json.dumps(
        {
            "rows": [
                {
                    "work": row.work,
                    "unit": row.unit,
                    "ours": row.ours,
                    "peer": row.peer,
                    "ratio": row.ratio,
                    "ours_p95": percentile(row.ours_samples, 95),
                    "peer_p95": percentile(row.peer_samples, 95) if row.peer_samples else None,
                    "ours_samples": list(row.ours_samples),
                    "peer_samples": list(row.peer_samples),
                }
                for row in rows
            ]
        },
        indent=1,
    )
