"""Which SELinux levels are in use: a pod's categories keep its files from other pods, so that no two get the same.

Source: opencontainers/selinux `go-selinux` (`uniqMcs`), containerd `internal/cri/store/label`.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from typing import Final

from cri_shim.errors import InvalidArgument, ResourceExhausted
from cri_shim.oci.selinux import categories

MAX_CATEGORIES: Final = 1024
_TRIES: Final = 64
_NOBODY: Final = frozenset({MAX_CATEGORIES - 2, MAX_CATEGORIES - 1})  # other tools label what no container may read so


class SelinuxLevels:
    """The levels, by who uses them: a sandbox, and its containers with it, hold one together.

    `category_range` is how many categories the new ones are picked from; 0, or less, stands for all 1024.
    """

    def __init__(self, category_range: int = 0) -> None:
        if category_range > MAX_CATEGORIES or category_range == 1:
            raise InvalidArgument(
                f"selinux_category_range = {category_range}: a level has two of at most {MAX_CATEGORIES} categories: "
                f"set it to 2 to {MAX_CATEGORIES}, or to 0 for all"
            )
        self._range = category_range if category_range > 0 else MAX_CATEGORIES
        self._held: dict[str, frozenset[int]] = {}
        self._users: Counter[frozenset[int]] = Counter({_NOBODY: 1})

    def new(self) -> str:
        """A level that nobody holds, `s0:cN,cM`; it is free until held. Raises ResourceExhausted when all are held."""
        for _ in range(_TRIES):
            pair = sorted(random.sample(range(self._range), 2))  # it keeps apart, and is no secret
            if frozenset(pair) not in self._users:
                return f"s0:c{pair[0]},c{pair[1]}"
        for first, second in combinations(range(self._range), 2):
            if frozenset((first, second)) not in self._users:
                return f"s0:c{first},c{second}"
        raise ResourceExhausted(
            f"all SELinux levels that {self._range} categories make are in use: raise selinux_category_range, or "
            "remove pods"
        )

    def hold(self, owner: str, label: str) -> None:
        """Note that the object with id `owner` uses the level of `label`, instead of what it used before.

        A label without categories holds none.
        """
        self.release(owner)
        if found := categories(label):
            self._held[owner] = found
            self._users[found] += 1

    def release(self, owner: str) -> None:
        """Note that the object with id `owner` uses no level any more."""
        found = self._held.pop(owner, None)
        if found is not None:
            self._users[found] -= 1
            if not self._users[found]:
                del self._users[found]
