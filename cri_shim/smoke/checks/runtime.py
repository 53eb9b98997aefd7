"""Version, Status, RuntimeConfig, and how the server answers as a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from grpclib.client import UnaryUnaryMethod

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import Unimplemented
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, present, refused, skip_unless, that

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

runtime = Capability("runtime")


@runtime.check
async def version_names_runtime_and_api(s: Subject) -> None:
    """Version tells the runtime's name and version, and that the API is v1."""
    version = s.endpoint.version
    that(version.runtime_name and version.runtime_version, "a name and a version of the runtime", version)
    equal("the API's version", "v1", version.runtime_api_version)


@runtime.check
async def version_takes_any_client_version(s: Subject) -> None:
    """Version answers a client that names its kubelet API version."""
    version = await s.runtime.version(cri.VersionRequest(version="0.1.0"))
    equal("the same runtime", s.endpoint.version.runtime_name, version.runtime_name)


@runtime.check
async def runtime_is_ready(s: Subject) -> None:
    """Status has the condition RuntimeReady, and it is true."""
    await _condition(s, "RuntimeReady")


@runtime.check
async def network_is_ready(s: Subject) -> None:
    """Status has the condition NetworkReady, and it is true."""
    await _condition(s, "NetworkReady")


async def _condition(s: Subject, name: str) -> None:
    status = present((await s.runtime.status(cri.StatusRequest())).status, "conditions")
    condition = next((each for each in status.conditions if each.type == name), None)
    that(condition and condition.status, f"{name} to be true", condition)


@runtime.check
async def status_tells_of_handlers(s: Subject) -> None:
    """Status lists runtime handlers, the default one among them, none twice."""
    handlers = (await s.runtime.status(cri.StatusRequest())).runtime_handlers
    skip_unless(handlers, "the endpoint lists no runtime handlers")
    names = [handler.name for handler in handlers]
    that("" in names, "an entry with an empty name for the default handler", names)
    that(len({*names}) == len(names), "each handler once", names)


@runtime.check
async def verbose_status_explains(s: Subject) -> None:
    """A verbose Status has details, a plain one has none."""
    equal("no details unless asked for", {}, (await s.runtime.status(cri.StatusRequest())).info)
    info = (await s.runtime.status(cri.StatusRequest(verbose=True))).info
    that(info, "details in `info`", info)


@runtime.check
async def runtime_config_tells_the_cgroup_driver(s: Subject) -> None:
    """RuntimeConfig tells which cgroup driver a kubelet has to use."""
    config = await s.runtime.runtime_config(cri.RuntimeConfigRequest())
    linux = present(config.linux, "settings of Linux")
    that(linux.cgroup_driver in (cri.CgroupDriver.SYSTEMD, cri.CgroupDriver.CGROUPFS), "a driver", linux)


@runtime.check
async def update_runtime_config_without_addresses_is_taken(s: Subject) -> None:
    """UpdateRuntimeConfig with an empty pod CIDR changes nothing and succeeds."""
    settings = cri.RuntimeConfig(network_config=cri.NetworkConfig())
    await s.runtime.update_runtime_config(cri.UpdateRuntimeConfigRequest(runtime_config=settings))


@runtime.check
async def unknown_method_is_unimplemented(s: Subject) -> None:
    """A call that the API does not have is answered with Unimplemented."""
    method = UnaryUnaryMethod(
        s.endpoint.channel, "/runtime.v1.RuntimeService/NoSuchCall", cri.VersionRequest, cri.VersionResponse
    )
    await refused(method(cri.VersionRequest()), "a call that there is not", Unimplemented)


@runtime.check
async def many_calls_at_once_are_answered(s: Subject) -> None:
    """A hundred calls at once on one connection are all answered."""
    answered: list[str] = []

    async def ask() -> None:
        answered.append((await s.runtime.version(cri.VersionRequest())).runtime_name)

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(ask)
    equal("answers", 100, len(answered))
