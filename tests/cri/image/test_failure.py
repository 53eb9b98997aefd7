"""What containerd says of a failed pull, told to a person and to the kubelet."""

from __future__ import annotations

import pytest

from cri_shim import errors
from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.image.credentials import given
from cri_shim.cri.image.failure import corrupt_ingest, pull_failure
from cri_shim.state import reference

URL = '"https://r.test/v2/x/manifests/1?ns=[REDACTED]"'
WANTED = reference.normalised("r.test/x:1")
DIGEST = "sha256:" + "a" * 64


def told(
    text: str, *, asked: tuple[str, ...] = ("https://r.test",), auth: cri.AuthConfig | None = None
) -> errors.CriError:
    return pull_failure(errors.Unknown(text), WANTED, asked, given(auth))


@pytest.mark.parametrize(
    "text",
    [
        f"failed to do request: Head {URL}: dial tcp 127.0.0.1:5001: connect: connection refused",
        f"failed to do request: Head {URL}: dial tcp: lookup r.test: no such host",
        f"failed to do request: Head {URL}: dial tcp: lookup r.test on 10.0.0.1:53: read: connection refused",
        f"failed to do request: Head {URL}: dial tcp 10.0.0.1:443: i/o timeout",
        f"unexpected status from HEAD request to {URL} 503 Service Unavailable",
        f"unexpected status from HEAD request to {URL} 429 Too Many Requests",
        "short read: expected 362 bytes but got 100: unexpected EOF",
    ],
)
def test_a_registry_that_is_away_is_named_as_the_kubelet_knows_it(text: str) -> None:
    error = told(text)
    assert type(error) is errors.Unknown, "the kubelet looks at the beginning of the text with this code alone"
    assert str(error).startswith('RegistryUnavailable: failed to pull image "r.test/x:1": ')
    assert text in str(error)


def test_an_image_that_a_verifier_blocks_is_named_as_the_kubelet_knows_it() -> None:
    text = f"image verifier bindir blocked pull of r.test/x:1 with digest {DIGEST} for reason: not signed"
    assert str(told(text)).startswith("SignatureValidationFailed: ")


@pytest.mark.parametrize(
    ("text", "kind", "advice"),
    [
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", errors.Unknown, "CA"),
        ("write /x: no space left on device", errors.ResourceExhausted, "free space"),
        (f'failed commit on ref "layer-{DIGEST}": unexpected commit digest sha256:b', errors.DataLoss, "dropped"),
        ("failed to authorize: failed to fetch anonymous token: 401 Unauthorized", errors.Unauthenticated, "no cred"),
    ],
)
def test_the_other_kinds_say_what_to_do(text: str, kind: type[errors.CriError], advice: str) -> None:
    error = told(text)
    assert type(error) is kind
    assert advice in str(error)
    assert not str(error).startswith("RegistryUnavailable")


def test_refused_credentials_are_told_from_missing_ones() -> None:
    assert "given don't do" in str(told("401 Unauthorized", auth=cri.AuthConfig(username="u", password="secret")))
    assert "no credentials" in str(told("401 Unauthorized", auth=cri.AuthConfig()))
    elsewhere = str(told("401 Unauthorized", auth=cri.AuthConfig(auth="secret", server_address="https://b.test")))
    assert "for https://b.test alone" in elsewhere
    assert "secret" not in elsewhere


def test_all_servers_are_named_where_there_are_several() -> None:
    error = told("connect: connection refused", asked=("https://a.test", "https://b.test"))
    assert "in this order: https://a.test, https://b.test" in str(error)


def test_what_is_not_known_keeps_its_kind_and_its_words() -> None:
    error = pull_failure(errors.NotFound("r.test/x:1: not found"), WANTED, (), "")
    assert type(error) is errors.NotFound
    assert str(error) == 'failed to pull image "r.test/x:1": r.test/x:1: not found'


def test_the_ingest_of_wrong_bytes_is_found_in_the_text() -> None:
    text = f'failed commit on ref "layer-{DIGEST}": unexpected commit digest sha256:b, expected {DIGEST}'
    assert corrupt_ingest(errors.FailedPrecondition(text)) == f"layer-{DIGEST}"
    assert corrupt_ingest(errors.Unknown("short read: unexpected EOF")) == ""
