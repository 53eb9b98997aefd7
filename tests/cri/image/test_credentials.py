from __future__ import annotations

import base64

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.image.credentials import ANONYMOUS, Credentials, credentials_for
from cri_shim.errors import InvalidArgument


def test_name_and_password_come_before_tokens() -> None:
    auth = cri.AuthConfig(username="u", password="p", identity_token="t", auth="x")
    assert credentials_for(auth, "host") == Credentials("u", "p")


def test_an_identity_token_is_a_secret_without_a_name() -> None:
    assert credentials_for(cri.AuthConfig(identity_token="t"), "host") == Credentials("", "t")


def test_base64_of_name_and_password_is_read_and_padding_zeros_go() -> None:
    auth = base64.b64encode(b"u:p:w\0\0").decode()
    assert credentials_for(cri.AuthConfig(auth=auth), "host") == Credentials("u", "p:w")


@pytest.mark.parametrize("server", ["https://other", "other", "registry.example.com"])
def test_a_secret_for_another_server_is_not_told(server: str) -> None:
    auth = cri.AuthConfig(username="u", password="p", server_address=server)
    assert credentials_for(auth, "registry.example.com") is ANONYMOUS


def test_a_secret_for_this_server_is_told() -> None:
    auth = cri.AuthConfig(username="u", password="p", server_address="https://registry.example.com:5000/v2")
    assert credentials_for(auth, "registry.example.com:5000") == Credentials("u", "p")


@pytest.mark.parametrize("auth", ["***", base64.b64encode(b"no colon").decode(), "/w=="])
def test_an_unreadable_secret_is_refused_without_being_told(auth: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        credentials_for(cri.AuthConfig(auth=auth), "host")
    assert auth not in str(caught.value)


def test_nothing_asked_for_and_nothing_given_is_anonymous() -> None:
    assert credentials_for(None, "host") is ANONYMOUS
    assert credentials_for(cri.AuthConfig(), "host") is ANONYMOUS
    assert "p" not in repr(Credentials("u", "secret"))[len("Credentials") :]
