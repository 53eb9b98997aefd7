"""Image references, as Docker and Kubernetes read them.

`busybox` is `docker.io/library/busybox:latest`. A reference with a tag and a digest means the digest alone. Upper-case
names, and 64 hex digits that could be mistaken for an id, are refused.
Source: github.com/distribution/reference (`regexp.go`, `normalize.go`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cri_shim.errors import InvalidArgument

DEFAULT_DOMAIN, LEGACY_DOMAIN, OFFICIAL = "docker.io", "index.docker.io", "library"
DEFAULT_TAG = "latest"
MAX_NAME = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    """A normalised reference: `domain/path`, and a tag or a digest."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")


def is_digest(text: str) -> bool:
    """Whether `text` is a sha256 digest, which for images is an id."""
    return _SHA256.fullmatch(text) is not None


def normalised(text: str) -> Reference:
    """The one image that `text` means, with the defaults filled in. InvalidArgument for what is no reference."""
    found = parsed(text)
    if found.digest:
        return Reference(found.domain, found.path, digest=found.digest)
    return Reference(found.domain, found.path, tag=found.tag or DEFAULT_TAG)


def parsed(text: str) -> Reference:
    """`text` with its domain filled in, but neither tag nor digest. InvalidArgument for what is no reference."""
    if _ID.fullmatch(text):
        raise _invalid(text, "64 hex digits would be an id: put sha256: before them, or name a repository")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "what follows @ is no digest")
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise _invalid(text, "the tag must be letters, digits, '_', '.' and '-', 128 at most")
    domain, path = _split_domain(name)
    if path != path.lower():
        raise _invalid(text, "the repository name must be lower case")
    if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(path):
        raise _invalid(text, "a reference is [HOST[:PORT]/]PATH[:TAG][@DIGEST]")
    if len(domain) + len(path) + 1 > MAX_NAME:
        raise _invalid(text, f"the repository name has more than {MAX_NAME} characters")
    return Reference(domain, path, tag or "", digest)


def _split_tag(rest: str) -> tuple[str, str | None]:
    """A colon after the last slash begins a tag; before it, a port."""
    slash, colon = rest.rfind("/"), rest.rfind(":")
    return (rest[:colon], rest[colon + 1 :]) if colon > slash else (rest, None)


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        first, rest = DEFAULT_DOMAIN, name
    if first == LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = f"{OFFICIAL}/{rest}"
    return first, rest


def _invalid(text: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"invalid image reference {text!r:.300}: {why}")


def rank(text: str) -> tuple[int, str]:
    """How an image's references are ordered: tags first, then repository digests, ids last.

    Source: containerd `internal/cri/util/references.go` (`SortReferences`).
    """
    if is_digest(text):
        return 5, text
    try:
        found = parsed(text)
    except InvalidArgument:
        return 6, text
    if found.tag:
        return (1 if found.digest else 2), text
    return (3 if found.digest else 4), text
