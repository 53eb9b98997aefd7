"""What SELinux options must look like. Labels themselves are not made yet: both are empty, as with SELinux off.

Source: containerd `internal/cri/server/helpers.go` (`checkSelinuxLevel`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument
from cri_shim.oci.fields import CONTEXT

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri

_CATEGORIES = r"c\d{1,4}(\.c\d{1,4})?"
_LEVEL = re.compile(rf"s\d(-s\d)?(:{_CATEGORIES}(,{_CATEGORIES})*)?", re.ASCII)


def check_options(options: cri.SeLinuxOption | None) -> None:
    """Raise InvalidArgument for a level that is none."""
    if options is not None and options.level and not _LEVEL.fullmatch(options.level):
        raise InvalidArgument(
            f"{CONTEXT}.selinux_options.level: the format of 'level' {options.level!r} is not correct: it must be like "
            "s0, s0-s1 or s0:c12,c34.c56"
        )
