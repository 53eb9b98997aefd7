"""The process of a container: arguments, environment, directory, terminal.

Source: containerd `internal/cri/opts/spec_opts.go` (`WithProcessArgs`), `pkg/oci/spec_opts.go` (`WithEnv`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cri_shim.errors import InvalidArgument
from cri_shim.oci import checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cri_shim.api.runtime import v1 as cri
    from cri_shim.oci.image import ImageProcess
    from cri_shim.oci.spec import Process

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TERM = "TERM=xterm"


def arguments(command: Sequence[str], args: Sequence[str], image: ImageProcess) -> list[str]:
    """What is run: the request's command before the image's entry point, the request's arguments before the image's.

    An image's arguments go with its entry point: they are dropped when the request has a command.
    Raises InvalidArgument when there is nothing to run.
    """
    entrypoint = image.entrypoint or []
    found = [*(command or ([] if entrypoint == [""] else entrypoint)), *args]
    if not command and not args:
        found += image.cmd or []
    if not found:
        raise InvalidArgument("no command specified: neither config.command and config.args nor the image name one")
    return found


def environment(
    base: Sequence[str], image: Iterable[str], wanted: Iterable[cri.KeyValue], *, terminal: bool, hostname: str
) -> list[str]:
    """The environment: `base` (a handler's base spec has one), defaults, then the image's, then the request's.

    What the image and the request both set is there twice, and runtimes let the last one win. Bytes that are no UTF-8
    become U+FFFD: a spec is JSON.
    """
    found = merged(base, [PATH])
    if terminal:
        found.append(TERM)
    found = merged(found, [f"HOSTNAME={hostname}"])
    return merged(found, [*image, *(f"{item.key}={item.value.decode('utf-8', 'replace')}" for item in wanted)])


def directory(wanted: str, image: ImageProcess, base: str) -> str:
    """Where it is run; the runtime makes it if it isn't there. InvalidArgument for an image's that is relative."""
    if not wanted and image.working_dir:
        checks.absolute("the image's WorkingDir", image.working_dir)
    return wanted or image.working_dir or base


def merged(defaults: Sequence[str], overrides: Iterable[str]) -> list[str]:
    """`defaults` with `overrides` in their places, new ones appended; an override without `=` removes a default."""
    found: list[str | None] = list(defaults)
    places = {item.split("=", 1)[0]: place for place, item in enumerate(defaults)}
    for item in overrides:
        key, separator, _ = item.partition("=")
        place = places.get(key)
        if place is not None:
            found[place] = item if separator else None
        elif separator:
            found.append(item)
    return [item for item in found if item]


def exec_process(process: Process, command: Sequence[str], *, terminal: bool) -> Process:
    """A further process of a container: as the container's, but for the command and the terminal."""
    env = merged(process.env, [TERM]) if terminal else process.env
    return msgspec.structs.replace(process, args=list(command), terminal=terminal, env=env)
