from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cri_shim.errors import FailedPrecondition
from cri_shim.linux import selinux

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_of_another_file_system_is_no_selinux(tmp_path: Path) -> None:
    assert not selinux.enabled(str(tmp_path))
    assert not selinux.enabled(str(tmp_path / "missing"))


def test_not_wanted_it_says_nothing() -> None:
    with capture_logs() as logs:
        selinux.check(wanted=False, there=True)
        selinux.check(wanted=False, there=False)
    assert logs == []


def test_wanted_where_there_is_none_it_warns() -> None:
    with capture_logs() as logs:
        selinux.check(wanted=True, there=False)
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_wanted_where_labels_would_count_the_start_is_refused() -> None:
    with pytest.raises(FailedPrecondition, match="enable_selinux = true"):
        selinux.check(wanted=True, there=True)
