from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.security_profile import asked_profile

KINDS = cri.SecurityProfileProfileType


def asked(wanted: cri.SecurityProfile | None, *strings: str) -> cri.SecurityProfile | None:
    return asked_profile("field", wanted, [(f"old{number}", text) for number, text in enumerate(strings)])


def profile(kind: cri.SecurityProfileProfileType, reference: str = "") -> cri.SecurityProfile:
    return cri.SecurityProfile(profile_type=kind, localhost_ref=reference)


def test_nothing_asked_for_is_none() -> None:
    assert asked(None) is None
    assert asked(None, "", "") is None


def test_the_field_comes_before_the_strings_and_an_earlier_string_before_a_later() -> None:
    assert asked(profile(KINDS.Unconfined), "runtime/default") == profile(KINDS.Unconfined)
    assert asked(None, "", "unconfined") == profile(KINDS.Unconfined)
    assert asked(None, "runtime/default", "unconfined") == profile(KINDS.RuntimeDefault)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runtime/default", profile(KINDS.RuntimeDefault)),
        ("docker/default", profile(KINDS.RuntimeDefault)),
        ("unconfined", profile(KINDS.Unconfined)),
        ("localhost//p.json", profile(KINDS.Localhost, "/p.json")),
        ("localhost/name", profile(KINDS.Localhost, "name")),
    ],
)
def test_strings_mean_what_they_always_meant(text: str, expected: cri.SecurityProfile) -> None:
    assert asked(None, text) == expected


def test_a_reference_loses_its_prefix() -> None:
    assert asked(profile(KINDS.Localhost, "localhost/name")) == profile(KINDS.Localhost, "name")
    assert asked(profile(KINDS.Localhost, "/a.json")) == profile(KINDS.Localhost, "/a.json")


@pytest.mark.parametrize("text", ["strict", "localhost/", "default", "Unconfined"])
def test_an_unknown_string_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(
        InvalidArgument, match=f"old0 '{text}' is unknown: use runtime/default, unconfined or localhost"
    ):
        asked(None, text)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (profile(KINDS.RuntimeDefault, "x"), "field.localhost_ref is 'x': it must only be set if profile_type"),
        (profile(KINDS.Unconfined, "x"), "it must only be set if profile_type is Localhost"),
        (profile(KINDS.Localhost), "field.localhost_ref is empty"),
        (profile(KINDS(7)), "field.profile_type 7 is unknown"),
    ],
)
def test_a_contradiction_is_refused(wanted: cri.SecurityProfile, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        asked(wanted)
    assert words in str(caught.value)
