"""Which credentials a registry is given: only those meant for it.

Source: containerd `internal/cri/server/images/image_pull.go` (`ParseAuth`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from cri_shim.config.image_settings import RegistrySettings


@dataclass(frozen=True)
class Credentials:
    """A user name and a secret; without a name the secret is an OAuth refresh token, and without both nobody."""

    username: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"  # never in a log


ANONYMOUS = Credentials()


def credentials_for(auth: cri.AuthConfig | None, host: str) -> Credentials:
    """What `host` is told. A secret that names a server is for that server alone.

    Raises InvalidArgument for an `auth` that isn't base64 of NAME:PASSWORD; its text doesn't hold the value.
    """
    if auth is None or (auth.server_address and urlsplit(auth.server_address).netloc != host):
        return ANONYMOUS
    if auth.username:
        return Credentials(auth.username, auth.password)
    if auth.identity_token:
        return Credentials("", auth.identity_token)
    if auth.auth:
        return _decoded(auth.auth)
    return ANONYMOUS


def configured(registry: RegistrySettings, host: str) -> cri.AuthConfig | None:
    """What the deprecated `registry.configs.<host>.auth` says, for a pull that brings no credentials."""
    config = registry.configs.get(host)
    if config is None:
        return None
    auth = config.auth
    return cri.AuthConfig(
        username=auth.username, password=auth.password, auth=auth.auth, identity_token=auth.identitytoken
    )


def given(auth: cri.AuthConfig | None) -> str:
    """Which credentials came with a request, in words without a secret, for who has been refused."""
    if auth is None or auth == type(auth)():
        return "no credentials were given"
    if auth.server_address:
        return f"the credentials given are for {auth.server_address} alone"
    return "the credentials given don't do"


def _decoded(auth: str) -> Credentials:
    try:
        text = base64.b64decode(auth, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidArgument("auth.auth is not base64 of NAME:PASSWORD") from None
    username, colon, password = text.partition(":")
    if not colon:
        raise InvalidArgument("auth.auth has no colon: it must be base64 of NAME:PASSWORD")
    return Credentials(username, password.rstrip("\0"))
