"""Single values of a request: what passes, and what a refusal says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import checks

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def refusal(check, *values: object) -> str:
    with pytest.raises(InvalidArgument) as caught:
        check("config.field", *values)
    assert str(caught.value).startswith("config.field is ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("check", "value", "words"),
    [
        (checks.no_nul, "a\0b", r"'a\x00b': it must not have a NUL byte"),
        (checks.word, "a b", "one word"),
        (checks.word, "a\nb", "one word"),
        (checks.word, "a\x1b", "one word"),
        (checks.absolute, "tmp", "an absolute path"),
        (checks.absolute, "/\0", "NUL"),
        (checks.inside, "/a/../b", "'..'"),
        (checks.inside, "..", "'..'"),
        (checks.inside, "a\0", "NUL"),
        (checks.hostname, "a b", "one word"),
        (checks.hostname, "ä" * 33, "of 66 bytes: the kernel takes at most 64"),
    ],
)
def test_a_refusal_names_the_field_the_value_and_what_is_allowed(check, value, words):
    assert words in refusal(check, value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.no_nul, "\n"),
        (checks.word, ""),
        (checks.word, "a-b.c"),
        (checks.absolute, ""),
        (checks.absolute, "/"),
        (checks.inside, "/a..b/...c"),
        (checks.hostname, "ä" * 32),
    ],
)
def test_what_can_be_is_not_refused(check, value):
    check("config.field", value)


def test_a_value_of_an_enum_is_shown_by_its_name_or_number():
    allowed = (cri.NamespaceMode.POD, cri.NamespaceMode.NODE)
    checks.one_of("config.field", cri.NamespaceMode.POD, allowed)
    assert "TARGET: use POD or NODE" in refusal(checks.one_of, cri.NamespaceMode.TARGET, allowed)
    assert "77: use POD or NODE" in refusal(checks.one_of, cri.NamespaceMode(77), allowed)


@given(TEXTS)
def test_a_hostname_that_passes_is_one_line_of_a_file_that_the_kernel_takes(text):
    try:
        checks.hostname("config.field", text)
    except InvalidArgument:
        return
    assert text.split() in ([text], [])
    assert len(text.encode()) <= 64
    assert "\0" not in text


@given(TEXTS)
def test_a_path_that_passes_leads_nowhere_else(text):
    try:
        checks.inside("config.field", text)
    except InvalidArgument:
        return
    assert ".." not in text.split("/")
