"""Why a pull failed, in words that a person can act on, and with what the kubelet looks for.

containerd passes on what the registry, the network or the disk said, as text and for the most part without a kind. The
kubelet makes of a text that begins with `RegistryUnavailable` or `SignatureValidationFailed` a reason of that name for
the waiting pod; it does so only with the code Unknown, which it strips.
Source: Kubernetes `pkg/kubelet/images/image_manager.go` (`evalCRIPullErr`), `cri-api/pkg/errors`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cri_shim.errors import CriError, DataLoss, ResourceExhausted, Unauthenticated, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.state.reference import Reference

_UNAVAILABLE: Final = "RegistryUnavailable: "
_UNSIGNED: Final = "SignatureValidationFailed: "


@dataclass(frozen=True)
class _Kind:
    """What a text that `pattern` finds is: an error of a kind, with a word before and a piece of advice after it."""

    pattern: re.Pattern[str]
    error: type[CriError]
    before: str = ""
    advice: str = ""


def _kind(pattern: str, error: type[CriError], before: str = "", advice: str = "") -> _Kind:
    return _Kind(re.compile(pattern), error, before, advice)


# The first that is found is it: a certificate that is refused is not a registry that is away, whatever else is said.
_KINDS: Final = (
    _kind(r"image verifier .* blocked pull|blocking pull of ", Unknown, _UNSIGNED),
    _kind(r"no space left on device|disk quota exceeded", ResourceExhausted, advice="free space on the node's disk"),
    _kind(
        r"x509:|tls: |server gave HTTP response to HTTPS client",
        Unknown,
        advice="name the registry's CA, or its scheme, in its hosts.toml",
    ),
    _kind(
        r"unexpected commit (digest|size)", DataLoss, advice="what was sent is not what the image says; it is dropped"
    ),
    _kind(
        r"429 Too Many Requests| 5\d\d [A-Z]|connection refused|connection reset|broken pipe|unexpected EOF|: EOF\b"
        r"|no such host|lookup \S+ on|server misbehaving|i/o timeout|handshake timeout|no route to host"
        r"|network is unreachable|connection timed out|deadline exceeded",
        Unknown,
        _UNAVAILABLE,
    ),
    _kind(r"401 Unauthorized|403 Forbidden|authorization failed|failed to authorize|denied", Unauthenticated),
)
_CORRUPT: Final = re.compile(r'failed commit on ref "([^"]+)": unexpected commit')


def pull_failure(error: CriError, wanted: Reference, asked: Sequence[str], credentials: str) -> CriError:
    """The error for the client, of one that containerd has answered a pull of `wanted` with.

    `asked` are the servers in the order in which they are tried; `credentials` says which were given.
    """
    text = str(error)
    found = next((kind for kind in _KINDS if kind.pattern.search(text)), None)
    if found is None:
        return error.because(f'failed to pull image "{wanted}"')
    advice = found.advice
    if found.error is Unauthenticated:
        advice = credentials
    elif len(asked) > 1:
        advice = f"servers, in this order: {', '.join(asked)}" + (f"; {advice}" if advice else "")
    return found.error(f'{found.before}failed to pull image "{wanted}": {text}' + (f" ({advice})" if advice else ""))


def corrupt_ingest(error: CriError) -> str:
    """The ingest that holds what no image is made of; "" if the error tells of none.

    containerd keeps it, full length, and so would give the same answer to every further pull.
    """
    found = _CORRUPT.search(str(error))
    return found[1] if found else ""
