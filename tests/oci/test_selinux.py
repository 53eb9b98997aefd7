from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.selinux import check_options


@pytest.mark.parametrize("level", ["", "s0", "s0-s1", "s0:c1", "s0:c1,c22", "s0-s0:c0.c1023", "s0:c1.c5,c9"])
def test_a_level_is_a_sensitivity_with_categories(level: str) -> None:
    check_options(cri.SeLinuxOption(level=level))
    check_options(None)


@pytest.mark.parametrize("level", ["0", "s", "s0:", "s0:c", "s0:c12345", "s0,s1", "s0:c1,", "s0\n", "s٣"])
def test_what_is_none_is_refused(level: str) -> None:
    with pytest.raises(InvalidArgument, match=r"selinux_options.level: the format of 'level'"):
        check_options(cri.SeLinuxOption(level=level))
