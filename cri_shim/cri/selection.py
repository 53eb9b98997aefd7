"""Label selectors of list filters: exact equality of every pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def has_labels(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether `labels` has every pair of `selector`."""
    return all(labels.get(key) == value for key, value in selector.items())
