from __future__ import annotations

import pytest

from cri_shim.cri.container.create import log_path
from cri_shim.errors import InvalidArgument


def test_the_log_is_below_the_pods_directory() -> None:
    assert log_path("/var/log/pods/a", "main/0.log") == "/var/log/pods/a/main/0.log"
    assert log_path("/var/log/pods/a/", "./0.log") == "/var/log/pods/a/0.log"


@pytest.mark.parametrize(("directory", "path"), [("", "0.log"), ("/var/log", ""), ("", "")])
def test_without_a_directory_or_a_path_there_is_no_log(directory: str, path: str) -> None:
    assert log_path(directory, path) == ""


@pytest.mark.parametrize("path", ["../0.log", "a/../../b", "/etc/passwd", "..", ".", "a/../../pods-evil/x"])
def test_a_path_that_leads_out_of_the_directory_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="leads out"):
        log_path("/var/log/pods", path)


def test_a_relative_directory_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not absolute"):
        log_path("var/log", "0.log")
