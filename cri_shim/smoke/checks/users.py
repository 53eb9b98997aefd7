"""As whom a container's processes run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import Context
from cri_shim.smoke.expect import equal, present, refused, skip_unless, that
from cri_shim.smoke.image.layer import EXTRA_GROUP, UID, USER

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

users = Capability("users")
_STRICT = cri.SupplementalGroupsPolicy.Strict


def _number(value: int) -> cri.Int64Value:
    return cri.Int64Value(value=value)


@users.check
async def runs_as_the_user_of_the_request(s: Subject) -> None:
    """A container runs as the user and the group of its request."""
    status = await s.process_status(Context(run_as_user=_number(1001), run_as_group=_number(1002)))
    equal("user and group", (["1001"] * 4, ["1002"] * 4), (status["Uid"], status["Gid"]))


@users.check
async def runs_as_root_by_default(s: Subject) -> None:
    """Without a user in request and image it runs as root."""
    status = await s.process_status(Context(), image=s.own.name("tools"))
    equal("user", ["0"] * 4, status["Uid"])


@users.check
async def runs_as_a_user_by_name(s: Subject) -> None:
    """A user's name is looked up in the image, with its groups."""
    status = await s.process_status(Context(run_as_username=USER), image=s.own.name("tools"))
    equal("user and group", ([str(UID)] * 4, [str(UID)] * 4), (status["Uid"], status["Gid"]))


@users.check
async def runs_as_the_user_of_the_image(s: Subject) -> None:
    """Without a user in the request it runs as the image's, with the groups that the image gives it."""
    status = await s.process_status(Context(), image=await s.defaults_image())
    equal("the user", [str(UID)] * 4, status["Uid"])
    that(str(EXTRA_GROUP) in status["Groups"], f"the group {EXTRA_GROUP}", status["Groups"])


@users.check
async def supplemental_groups_are_added(s: Subject) -> None:
    """Supplemental groups of the request are the process's."""
    status = await s.process_status(Context(run_as_user=_number(1001), supplemental_groups=[1234, 5678]))
    that({"1234", "5678"} <= {*status["Groups"]}, "the groups 1234 and 5678", status["Groups"])


@users.check
async def strict_groups_are_the_requests_only(s: Subject) -> None:
    """With the policy Strict, groups that only the image knows of are left out."""
    features = s.endpoint.status.features
    skip_unless(features and features.supplemental_groups_policy, "the endpoint has no supplemental groups policy")
    context = Context(run_as_username=USER, supplemental_groups=[5678], supplemental_groups_policy=_STRICT)
    status = await s.process_status(context, image=s.own.name("tools"))
    equal("the groups", {str(UID), "5678"}, {*status["Groups"]})


@users.check
async def user_is_told(s: Subject) -> None:
    """ContainerStatus tells the user and the groups that the process has begun with."""
    context = Context(run_as_user=_number(1001), run_as_group=_number(1002), supplemental_groups=[1003])
    user = (await s.status(await s.run(s.container_config(context=context)))).user
    skip_unless(user and user.linux, "the endpoint does not tell of users")
    told = present(present(user, "a user").linux, "a user of Linux")
    equal("user and group", (1001, 1002), (told.uid, told.gid))
    that({1003} <= {*told.supplemental_groups}, "the group 1003", told.supplemental_groups)


@users.check
async def group_without_user_is_refused(s: Subject) -> None:
    """A group without a user is refused."""

    async def run() -> None:
        await s.run(s.container_config(context=Context(run_as_group=_number(1002))))

    await refused(run(), "run_as_group without a user")
