"""The versions of Kubernetes' remote command protocol, as a table, and the choice of one.

Source: k8s.io/apimachinery `remotecommand` constants; what each brought is in the comments of
`k8s.io/client-go/tools/remotecommand` and in KEP-4006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PORT_FORWARD = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PORT_FORWARD}"


@dataclass(frozen=True, slots=True)
class Version:
    """What a version of the remote command protocol can do."""

    name: str
    resizes: bool = True
    status: bool = True  # the error stream carries a metav1.Status; before, text, and nothing for success
    closes: bool = False  # a client on WebSocket can say that its stdin has ended


V1 = Version("channel.k8s.io", resizes=False, status=False)
V2 = Version("v2.channel.k8s.io", resizes=False, status=False)
V3 = Version("v3.channel.k8s.io", status=False)
V4 = Version("v4.channel.k8s.io")
V5 = Version("v5.channel.k8s.io", closes=True)

SPDY_VERSIONS = {version.name: version for version in (V4, V3, V2, V1)}


def chosen(offered: Iterable[str], known: Iterable[str]) -> str | None:
    """The first of a client's protocols, in its order, that is known here."""
    names = frozenset(known)
    return next((name for name in offered if name in names), None)


@dataclass(frozen=True, slots=True)
class Channels:
    """A protocol on WebSocket: each message begins with its channel, in base64 where messages are text."""

    version: Version
    base64: bool = False


# Without a name, as the first of them: what came before there were names.
WEBSOCKET_COMMANDS = {
    "": Channels(V1),
    **{version.name: Channels(version) for version in (V5, V4, V3, V2, V1)},
    f"v4.base64.{V1.name}": Channels(V4, base64=True),
    f"base64.{V1.name}": Channels(V1, base64=True),
}
_PORT_CHANNELS = {"": Channels(V4), V4.name: Channels(V4), f"v4.base64.{V1.name}": Channels(V4, base64=True)}
WEBSOCKET_PORTS: dict[str, Channels | None] = {TUNNEL: None, **_PORT_CHANNELS, PORT_FORWARD: Channels(V4)}
