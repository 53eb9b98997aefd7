"""Paths of containers, cleaned as Go's `path/filepath` does: what containerd compares and joins."""

from __future__ import annotations

import posixpath


def clean(path: str) -> str:
    """The shortest equal path, by name alone: no `.`, no `..` but at a relative one's start, no doubled slashes."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("/") else cleaned  # POSIX keeps two leading slashes


def join(*parts: str) -> str:
    """The parts, empty ones left out, with slashes between them, cleaned; "" when all are empty."""
    found = "/".join(part for part in parts if part)
    return clean(found) if found else ""
