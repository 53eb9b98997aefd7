"""What of the node a container sees, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.linux import mountinfo
from cri_shim.linux.mounts import covering
from cri_shim.smoke.check import Capability
from cri_shim.smoke.configs import Context, pod_linux
from cri_shim.smoke.expect import equal, skip_unless, that

if TYPE_CHECKING:
    from cri_shim.smoke.session import Pod
    from cri_shim.smoke.subject import Subject

mounts = Capability("mounts")
_KIB = 1024
_PRIVATE = cri.MountPropagation.PROPAGATION_PRIVATE
_TO_CONTAINER = cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER
_BOTH = cri.MountPropagation.PROPAGATION_BIDIRECTIONAL
_WRITES = "echo 2>/dev/null >/there/new && echo made || echo refused"


async def _mount(s: Subject, name: str, **fields: object) -> cri.Mount:
    """A mount of a new directory of the node's at /there, with a file in it."""
    directory = await s.node_directory(name)
    await (directory / "file").write_text("from the node\n")
    fields = {"container_path": "/there", "selinux_relabel": True, **fields}
    return cri.Mount(host_path=s.node_path(name), **fields)  # type: ignore[arg-type]


@mounts.check
async def directory_is_shared_both_ways(s: Subject) -> None:
    """A directory of the node's is seen in the container, and what that writes is seen on the node."""
    mount = await _mount(s, "both-ways")
    equal("the node's file", ["from the node"], await s.says(
        "cat /there/file; echo from the container >/there/new", mounts=[mount]
    ))  # fmt: skip
    equal("the container's file", "from the container\n", await s.place.path(f"{mount.host_path}/new").read_text())


@mounts.check
async def read_only_directory_can_not_be_written(s: Subject) -> None:
    """A read-only mount can be read and not written."""
    mount = await _mount(s, "read-only", readonly=True)
    equal("both attempts", ["from the node", "refused"], await s.says(f"cat /there/file; {_WRITES}", mounts=[mount]))


@mounts.check
async def single_file_is_mounted(s: Subject) -> None:
    """A file of the node's can be mounted on its own."""
    await _mount(s, "single-file")
    mount = cri.Mount(container_path="/some/file", host_path=s.node_path("single-file/file"), selinux_relabel=True)
    equal("its content", ["from the node"], await s.says("cat /some/file", mounts=[mount]))


@mounts.check
async def symbolic_link_is_followed(s: Subject) -> None:
    """A source that is a symbolic link stands for what it leads to."""
    await _mount(s, "led-to")
    await s.place.path(s.node_path("link")).symlink_to("led-to")
    mount = cri.Mount(container_path="/there", host_path=s.node_path("link"), selinux_relabel=True)
    equal("the file", ["from the node"], await s.says("cat /there/file", mounts=[mount]))


@mounts.check
async def mounts_below_mounts(s: Subject) -> None:
    """Mounts may be below one another, in whatever order they are asked for."""
    upper = await _mount(s, "upper")
    await s.place.path(s.node_path("upper/below")).mkdir()
    lower = await _mount(s, "lower", container_path="/there/below")
    script = "cat /there/file /there/below/file"
    equal("both files", ["from the node"] * 2, await s.says(script, mounts=[lower, upper]))


@mounts.check
async def mounts_are_told(s: Subject) -> None:
    """ContainerStatus tells the mounts of the request."""
    mount = await _mount(s, "told", readonly=True)
    status = await s.status(await s.create(s.container_config(mounts=[mount])))
    told = [(each.container_path, each.host_path, each.readonly) for each in status.mounts]
    that(("/there", mount.host_path, True) in told, "the mount", told)


@mounts.check
async def shared_memory_is_the_pods(s: Subject) -> None:
    """/dev/shm is one for the containers of a pod, of 64 MiB."""
    container = await s.run(s.container_config())
    await s.shell(container, "echo shared >/dev/shm/smoke")
    found = await s.says("cat /dev/shm/smoke /proc/self/mountinfo")
    equal("the other container's file", "shared", found[0])
    options = [line for line in found[1:] if line.split()[4] == "/dev/shm"]
    that(options and f"size={64 * _KIB}k" in options[-1], "a size of 65536k", options)


@mounts.check
async def usual_devices_are_there(s: Subject) -> None:
    """/dev has null, zero, full, random, urandom and tty, and they work."""
    script = "for f in null zero full random urandom tty; do test -c /dev/$f || echo no $f; done; echo x >/dev/null"
    equal("nothing missing", [], await s.says(script))


@mounts.check
async def device_of_the_node_is_passed(s: Subject) -> None:
    """A device of the node's is in the container under the name of the request, and can be used."""
    device = cri.Device(container_path="/dev/smoke", host_path="/dev/null", permissions="rwm")
    said = await s.says("test -c /dev/smoke && echo x >/dev/smoke && echo used", devices=[device])
    equal("the attempt", ["used"], said)


def _is_shared(s: Subject) -> bool:
    """Whether the run's directory is on a mount whose changes spread, without which nothing can be passed on."""
    return covering(mountinfo.read(s.place.pid), s.session.directory).propagation.shared


async def _mounting_container(s: Subject, mount: cri.Mount) -> tuple[Pod, str]:
    """A privileged container that may mount below /there so that the node sees it."""
    await s.needs("mount")
    skip_unless(_is_shared(s), f"{s.session.directory} is not on a shared mount on the node")
    pod = await s.pod(s.pod_config(linux=pod_linux(privileged=True)))
    shared = cri.Mount(container_path="/there", host_path=mount.host_path, propagation=_BOTH, selinux_relabel=True)
    return pod, await s.run(s.container_config(context=Context(privileged=True), mounts=[shared]), pod)


async def _seen(s: Subject, name: str, propagation: cri.MountPropagation) -> str:
    """What a container with this propagation sees of a mount that another makes after its start."""
    mount = await _mount(s, name, propagation=propagation)
    await (s.place.path(mount.host_path) / "below").mkdir()
    pod, mounting = await _mounting_container(s, mount)
    watching = await s.run(s.container_config(mounts=[mount]), pod)
    said = await s.shell(mounting, "mount -t tmpfs smoke /there/below && echo seen >/there/below/file; echo $?")
    equal("the mount", "0", said)
    try:
        return await s.shell(watching, "cat /there/below/file 2>/dev/null || echo unseen")
    finally:
        await s.shell(mounting, "umount /there/below")


@mounts.check
async def private_mounts_stay_apart(s: Subject) -> None:
    """With private propagation a container does not see what is mounted on the node later."""
    equal("the later mount", "unseen", await _seen(s, "private", _PRIVATE))


@mounts.check
async def mounts_come_from_the_node(s: Subject) -> None:
    """With host-to-container propagation it does."""
    equal("the later mount", "seen", await _seen(s, "to-container", _TO_CONTAINER))


@mounts.check
async def mounts_go_to_the_node(s: Subject) -> None:
    """With bidirectional propagation a container's mount is one of the node's."""
    mount = await _mount(s, "bidirectional")
    _, mounting = await _mounting_container(s, mount)
    equal("the mount", "0", await s.shell(mounting, "mount -t tmpfs smoke /there; echo $?"))
    try:
        points = [each.target for each in mountinfo.read(s.place.pid)]
        that(mount.host_path in points, f"{mount.host_path} among the node's mounts", points)
    finally:
        await s.shell(mounting, "umount /there")


@mounts.check
async def read_only_below_too(s: Subject) -> None:
    """A recursively read-only mount is read-only in the mounts below it, too."""
    handler = s.endpoint.handler(s.session.handler)
    has = handler is not None and handler.features is not None and handler.features.recursive_read_only_mounts
    skip_unless(has, "the handler has no recursively read-only mounts")
    mount = await _mount(s, "recursive", readonly=True, recursive_read_only=True)
    await (s.place.path(mount.host_path) / "below").mkdir()
    pod, mounting = await _mounting_container(s, mount)
    await s.shell(mounting, "mount -t tmpfs smoke /there/below")
    try:
        script = "echo 2>/dev/null >/there/below/new && echo made || echo refused"
        equal("the attempt", ["refused"], await s.says(script, pod=pod, mounts=[mount]))
    finally:
        await s.shell(mounting, "umount /there/below")


@mounts.check
async def image_is_mounted(s: Subject) -> None:
    """An image can be mounted as a volume, which can be read and not written."""
    mount = cri.Mount(container_path="/there", image=cri.ImageSpec(image=s.own.name("tools")), readonly=True)
    said = await s.says(f"cat /there/etc/group; {_WRITES}", mounts=[mount])
    that(said and said[0].startswith("root:") and said[-1] == "refused", "the image's file, and no writing", said)
