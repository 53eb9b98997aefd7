"""What is left of an answer without what differs by chance: ids, processes, addresses, times, directories."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMPARED: Final = pytest.StashKey[list[bool]]()  # of each case, whether it was equal

# Each is another one for every object, or for either of the two containerds.
_BY_CHANCE = (
    (re.compile(r"/(var/lib|run)/containerd-peer/"), r"/\1/containerd/"),
    (re.compile(r"/volumes/[0-9a-f]{64}"), "/volumes/<volume>"),
    (re.compile(r"/image-volumes/<pod>/[0-9a-f]{64}"), "/image-volumes/<pod>/<image>"),
    (re.compile(r"/proc/\d+/ns/"), "/proc/<pid>/ns/"),
    (re.compile(r"/cni-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "/<netns>"),
    (re.compile(r"\b10\.189\.(?!0\.1\b)\d+\.\d+"), "<address>"),
    (re.compile(r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b"), "<mac>"),
    (re.compile(r"\bveth[0-9a-f]{8}"), "<veth>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r'("(?:created_?[aA]t|pid)": )"?[1-9]\d*"?'), r'\1"<number>"'),
)


def comparable(found: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """`found`, JSON, without what differs by chance; `names` are what ids become."""
    text = json.dumps(found)
    for one, name in names.items():
        text = text.replace(one, name) if one else text
    for pattern, name in _BY_CHANCE:
        text = pattern.sub(name, text)
    value: dict[str, Any] = json.loads(text)
    if "spec" in value:
        _sort_volumes(value["spec"]["value"]["mounts"])
    return value


def _sort_volumes(mounts: list[Any]) -> None:
    """The volumes of an image have no order: containerd takes them out of a map."""
    places = [place for place, mount in enumerate(mounts) if "/volumes/<volume>" in mount["source"]]
    inside_out = sorted((mounts[place] for place in places), key=lambda mount: _depth(mount["destination"]))
    for place, mount in zip(places, inside_out, strict=True):
        mounts[place] = mount


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def compared(ours: Any, theirs: Any) -> list[str]:
    """What is not the same: a line for each value, or that only one side refuses."""
    if "refused" in ours and "refused" not in theirs:
        return ["refused by us alone"]
    if "refused" in theirs and "refused" not in ours:
        return ["refused by containerd alone"]
    return list(differences(ours, theirs))


def differences(ours: Any, theirs: Any, where: str = "") -> Iterator[str]:
    """A line for each value that isn't the same, with its path."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            yield from differences(ours.get(key), theirs.get(key), f"{where}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for place, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{where}/{place}")
    elif ours != theirs:
        yield f"{where}: ours {_short(ours)}, theirs {_short(theirs)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 500 else f"{text[:500]} …"
