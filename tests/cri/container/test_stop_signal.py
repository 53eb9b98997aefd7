from __future__ import annotations

import signal

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.stop_signal import cri_signal, number, oci_name
from cri_shim.errors import InvalidArgument


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SIGTERM", 15),
        ("term", 15),
        ("15", 15),
        ("SIGRTMIN+3", 37),
        ("RTMIN", 34),
        ("SIGRTMAX-1", 63),
        ("SIGPOLL", int(signal.SIGIO)),
        ("SIGCLD", int(signal.SIGCHLD)),
    ],
)
def test_names_and_numbers_as_images_spell_them(name: str, expected: int) -> None:
    assert number(name) == expected


@pytest.mark.parametrize("name", ["", "SIGNONE", "0", "65", "SIGRTMIN+31", "SIGRTMAX+1", "SIG_BLOCK", "-9"])
def test_what_is_no_signal_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="unknown"):
        number(name)


def test_every_signal_of_the_cri_has_a_number_and_comes_back_as_the_same_number() -> None:
    for wanted in cri.Signal:
        if wanted is not cri.Signal.RUNTIME_DEFAULT:
            assert number(
                str(cri_signal(cri.Signal.RUNTIME_DEFAULT, oci_name(wanted)).name)
                .replace("PLUS", "+")
                .replace("MINUS", "-")
            ) == number(oci_name(wanted))


def test_the_reported_signal_is_the_asked_one_then_the_stored_then_sigterm() -> None:
    assert cri_signal(cri.Signal.SIGUSR1, "SIGTERM") is cri.Signal.SIGUSR1
    assert cri_signal(cri.Signal.RUNTIME_DEFAULT, "SIGRTMIN+3") is cri.Signal.SIGRTMINPLUS3
    assert cri_signal(cri.Signal.RUNTIME_DEFAULT, "") is cri.Signal.SIGTERM
    assert cri_signal(cri.Signal.RUNTIME_DEFAULT, "nonsense") is cri.Signal.SIGTERM


def test_a_signal_that_the_cri_does_not_know_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="stop_signal 999"):
        oci_name(cri.Signal(999))
