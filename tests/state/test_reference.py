from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.errors import InvalidArgument
from cri_shim.state.reference import normalised, parsed, rank

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("user/app", "docker.io/user/app:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("host:5000/app:1", "host:5000/app:1"),
        ("example.com/a/b__c/d-e.f", "example.com/a/b__c/d-e.f:latest"),
        ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app:latest"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1.36@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        ("UPPER/case", "UPPER/case:latest"),
        ("a_b/c", "docker.io/a_b/c:latest"),
    ],
)
def test_short_names_mean_what_docker_means_by_them(text: str, expected: str) -> None:
    assert str(normalised(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", "a:b:c/d", "A", "docker.io/A", "a//b", "/a", "a/", "-a", "a-", "a..b/", "a@", "a@sha256:1", HEX,
     "a:" + "x" * 129, "a" * 256, "a b", "a\n", "häuser", "a___b", "a:tag!", f"a@{DIGEST} "],
)  # fmt: skip
def test_what_is_no_reference_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid image reference"):
        normalised(text)


def test_references_are_ordered_tags_digests_ids_and_the_rest() -> None:
    names = [DIGEST, "a.io/b", f"a.io/b@{DIGEST}", "a.io/b:1", f"a.io/b:1@{DIGEST}", "NOT A REFERENCE", "a.io/a:2"]
    assert sorted(names, key=rank) == [
        f"a.io/b:1@{DIGEST}",
        "a.io/a:2",
        "a.io/b:1",
        f"a.io/b@{DIGEST}",
        "a.io/b",
        DIGEST,
        "NOT A REFERENCE",
    ]


COMPONENT = st.from_regex(r"[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,4})?", fullmatch=True)
HOST = st.from_regex(r"[a-z]{1,6}\.[a-z]{2,4}(?::[0-9]{1,5})?", fullmatch=True)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True)


@given(HOST, st.lists(COMPONENT, min_size=1, max_size=4), st.none() | TAG)
def test_a_full_reference_is_itself_and_stays_itself(host: str, path: list[str], tag: str | None) -> None:
    text = f"{host}/{'/'.join(path)}" + (f":{tag}" if tag else "")
    found = normalised(text)
    assert (found.domain, found.path, found.tag) == (host, "/".join(path), tag or "latest")
    assert normalised(str(found)) == found


@given(st.text(max_size=60))
def test_any_text_is_a_reference_that_survives_or_is_refused(text: str) -> None:
    try:
        found = parsed(text)
    except InvalidArgument:
        return
    assert parsed(str(found)) == found
