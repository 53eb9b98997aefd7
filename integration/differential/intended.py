"""Every difference that is meant, with its reason. Each is seen in the table: a stale one fails the tests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration.differential.sides import Found


@dataclass(frozen=True)
class Intended:
    """A difference: `forgive` takes it out of a pair of answers, ours first; whether it was there."""

    what: str
    reason: str
    forgive: Callable[[Found, Found], bool]


_PART_OF_IMAGE = re.compile(r'(?<=/image-volumes/<pod>/<image>)/etc|, "image_?[sS]ub_?[pP]ath": "etc"')


# ── where to look ───────────────────────────────────────────────────────────────────────────────────────────────────


def _info(found: Found, status: str) -> dict[str, Any]:
    """The verbose part of a `status` or `pod status`."""
    info: dict[str, Any] = found.get(status, {}).get("info", {}).get("info", {})
    return info


def _metadata(found: Found, record: str, extension: str) -> dict[str, Any]:
    extensions = found.get(record, {}).get("extensions", {})
    metadata: dict[str, Any] = extensions.get(extension, {}).get("value", {}).get("Metadata", {})
    return metadata


def _specs(found: Found) -> Iterator[dict[str, Any]]:
    yield from (found[key]["value"] for key in ("pause spec", "spec") if key in found)


def _pod_configs(found: Found) -> Iterator[dict[str, Any]]:
    """A pod's config, as often as it is told."""
    info = _info(found, "pod status")
    holders = (
        _metadata(found, "pause record", "io.cri-containerd.sandbox.metadata"),
        _metadata(found, "sandbox record", "metadata"),
        info.get("sandboxMetadata", {}).get("Metadata", {}),
    )
    yield from (holder["Config"] for holder in holders if "Config" in holder)
    if "config" in info:
        yield info["config"]


# ── what was ours or theirs alone ───────────────────────────────────────────────────────────────────────────────────


def _newer_fields(ours: Found, theirs: Found) -> bool:
    """The peer drops what it doesn't know: from a request, so from its records, and from its answers."""
    mine, peers = (_metadata(found, "record", "io.cri-containerd.container.metadata") for found in (ours, theirs))
    for config in (mine.get("Config", {}), _info(ours, "status").get("config", {})):
        if config.pop("stop_signal", None):
            mine["StopSignal"] = peers["StopSignal"]
    status = ours.get("status", {}).get("status", {})
    told = [status.pop(name, None) for name in ("stopSignal", "imageId")]
    told += [mount.get("image", {}).pop("imageRef", None) for mount in status.get("mounts", ())]
    for mount in (
        *mine.get("Config", {}).get("mounts", ()),
        *_info(ours, "status").get("config", {}).get("mounts", ()),
    ):
        told.append(mount.get("image", {}).pop("image_ref", None))
    return any([*told, ours.get("pod status", {}).pop("timestamp", None)])


def _told_beyond(ours: Found, _: Found) -> bool:
    told = [ours.get(status, {}).get("info", {}).pop("timeline", None) for status in ("pod status", "status")]
    return any([*told, _info(ours, "pod status").pop("runtimeHandler", None)])


def _sysctls_written_back(ours: Found, theirs: Found) -> bool:
    there = False
    for mine, peers in zip(_pod_configs(ours), _pod_configs(theirs), strict=False):
        asked, kept = (config.get("linux", {}).get("sysctls", {}) for config in (mine, peers))
        for name in set(kept) - set(asked):
            del kept[name]
            there = True
    return there


def _untouched_huge_pages(ours: Found, theirs: Found) -> bool:
    mine, peers = (
        found.get("status", {}).get("status", {}).get("resources", {}).get("linux", {}) for found in (ours, theirs)
    )
    return "hugepageLimits" not in mine and bool(peers.pop("hugepageLimits", None))


# ── filters ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_NEWER_CALLS = frozenset(
    """getxattrat listmount listxattrat lsm_get_self_attr lsm_list_modules lsm_set_self_attr mseal removexattrat
    setxattrat statmount uretprobe""".split()  # noqa: SIM905  (names, as the manual lists them)
)
_BUT_CRYPTO_AND_VSOCK = [("SCMP_CMP_LT", 38), ("SCMP_CMP_EQ", 39), ("SCMP_CMP_GT", 40)]
_BUT_VSOCK = [("SCMP_CMP_NE", 40)]


def _rules(found: Found) -> Iterator[list[dict[str, Any]]]:
    for spec in _specs(found):
        if rules := spec["linux"].get("seccomp", {}).get("syscalls"):
            yield rules


def _newer_calls(ours: Found, _: Found) -> bool:
    there = False
    for rule in (rule for rules in _rules(ours) for rule in rules):
        known = [name for name in rule["names"] if name not in _NEWER_CALLS]
        there |= known != rule["names"]
        rule["names"] = known
    return there


def _crypto_sockets(ours: Found, theirs: Found) -> bool:
    there = False
    for mine, peers in zip(_rules(ours), _rules(theirs), strict=False):
        if _families(mine) == _BUT_CRYPTO_AND_VSOCK and _families(peers) == _BUT_VSOCK:
            for rules in (mine, peers):
                rules[:] = [rule for rule in rules if rule["names"] != ["socket"]]
            there = True
    return there


def _families(rules: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """The families of sockets that are let through, as conditions on socket(2)'s first argument."""
    arguments = (argument for rule in rules if rule["names"] == ["socket"] for argument in rule.get("args", ()))
    return [(argument["op"], argument["value"]) for argument in arguments]


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _kind_of_refusal(ours: Found, theirs: Found) -> bool:
    there = ours.get("refused") == "INVALID_ARGUMENT" and theirs.get("refused") == "UNKNOWN"
    if there:
        ours["refused"] = "UNKNOWN"
    return there


def _refused_by_us(*texts: str) -> Callable[[Found, Found], bool]:
    """What containerd takes, and we refuse with one of these texts."""

    def forgive(ours: Found, theirs: Found) -> bool:
        said = str(ours.get("message", ""))
        there = ours.get("refused") == "INVALID_ARGUMENT" and "refused" not in theirs
        return _both_emptied(ours, theirs) if there and any(text in said for text in texts) else False

    return forgive


def _taken_by_us(text: str) -> Callable[[Found, Found], bool]:
    """What containerd refuses with this text, and we take."""

    def forgive(ours: Found, theirs: Found) -> bool:
        there = "refused" in theirs and "refused" not in ours and text in theirs["message"]
        return _both_emptied(ours, theirs) if there else False

    return forgive


def _both_emptied(ours: Found, theirs: Found) -> bool:
    ours.clear()
    theirs.clear()
    return True


# ── capabilities ────────────────────────────────────────────────────────────────────────────────────────────────────


def _ambient_capabilities(ours: Found, theirs: Found) -> bool:
    there = False
    for mine, peers in zip(_specs(ours), _specs(theirs), strict=False):
        sets, beside = mine["process"]["capabilities"], peers["process"]["capabilities"]
        if "ambient" not in beside and sets.pop("ambient", None):
            there = True
            del sets["inheritable"]
    return there


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _hostile_accounts(ours: Found, theirs: Found) -> bool:
    """Whom a malformed line names isn't there, and its numbers are nobody's."""
    if "/test/odd-" not in theirs.get("record", {}).get("image", ""):
        return False
    if _refused_by_us("the image's /etc/passwd doesn't have")(ours, theirs):
        return True
    mine, peers = ours["spec"]["value"]["process"], theirs["spec"]["value"]["process"]
    there = bool(mine["user"] != peers["user"])
    if there:
        mine["user"] = peers["user"]
        ours["status"]["status"]["user"] = theirs["status"]["status"]["user"]
    return there


# ── mounts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _shared_memory(ours: Found, theirs: Found) -> bool:
    there = False
    for mine, peers in zip(_specs(ours), _specs(theirs), strict=False):
        sources = [mount["source"] for mount in mine["mounts"] if mount["destination"] == "/dev/shm"]
        if sources != [mount["source"] for mount in peers["mounts"] if mount["destination"] == "/dev/shm"]:
            there = True
            for spec in (mine, peers):
                spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] != "/dev/shm"]
    return there


def _part_of_image(ours: Found, theirs: Found) -> bool:
    found, there = _PART_OF_IMAGE.subn("", json.dumps(ours))
    ours.clear()
    ours.update(json.loads(found))
    return bool(there) or _refused_by_us("is no path inside the image")(ours, theirs)


INTENDED = (
    Intended(
        "a container's stop signal and image id, the ids of images as mounts, and the time of an answer",
        "the CRI has them since the peer's release, which drops them",
        _newer_fields,
    ),
    Intended(
        "a verbose status tells the steps of the start, and a pod's its handler",
        "who asks for more is told more: other keys beside those that crictl's users know",
        _told_beyond,
    ),
    Intended(
        "the sysctls in a pod's record are those of the request",
        "containerd adds its own defaults to them where the request has some: they are not what was asked for, and a "
        "pod without any has none of them in its record there, either",
        _sysctls_written_back,
    ),
    Intended(
        "a status tells no limits of huge pages where they are not limited",
        "with disable_hugetlb_controller containerd takes those of a base spec out of the spec, but still tells them",
        _untouched_huge_pages,
    ),
    Intended(
        "the default seccomp filter allows system calls that Linux 6.6 to 6.13 brought",
        "containerd allows them from 2.2 on; the peer is 2.1, whose programs fail on them as on an old kernel",
        _newer_calls,
    ),
    Intended(
        "the default seccomp filter refuses AF_ALG sockets",
        "containerd refuses them from 2.2 on, for the kernel's crypto interface is a way out of containers",
        _crypto_sockets,
    ),
    Intended(
        "/dev/shm is that of the ipc namespace that the container is in, its pod's",
        "containerd goes by the mode in the container's own config, and so gives the node's shared memory to a "
        "container of a pod that has its own, or a fresh one to a container in the node's ipc namespace",
        _shared_memory,
    ),
    Intended(
        "ambient capabilities are given",
        "the CRI says on Capability what they are, and containerd leaves them out",
        _ambient_capabilities,
    ),
    Intended(
        "a directory of an image is mounted, where one is asked for",
        "containerd can from 2.2 on; the peer is 2.1, which mounts the whole image",
        _part_of_image,
    ),
    Intended(
        "bad input is InvalidArgument, not Unknown",
        "a client can tell its own mistake from the node's",
        _kind_of_refusal,
    ),
    Intended(
        "a mount without a place, or whose source is no absolute path, is refused",
        "containerd takes the source as relative to its own working directory, and makes it there; without a place the "
        "runtime fails at the start",
        _refused_by_us("has no container_path", "it must be an absolute path of the node"),
    ),
    Intended(
        "a log directory that is no absolute path is refused",
        "containerd writes logs below its own working directory then",
        _refused_by_us("config.log_directory is 'relative'"),
    ),
    Intended(
        "a relative directory, and a variable whose name is empty or has a '=', are refused",
        "the runtime fails at the start, or sets another variable than the one that was meant",
        _refused_by_us("config.working_dir is", "the image's WorkingDir is", "config.envs["),
    ),
    Intended(
        "a line of /etc/passwd or /etc/group without a name and a number makes no account",
        "containerd takes a malformed number for 0, which is root's, and an empty name for a member of groups whose "
        "list has an empty place",
        _hostile_accounts,
    ),
    Intended(
        "limits that no kernel takes are refused",
        "containerd writes them down, and the runtime fails at the start",
        _refused_by_us("oom_score_adj is"),
    ),
    Intended(
        "a namespace mode that is unknown, or that a container can't have, is refused",
        "containerd takes it for the pod's: less of its own than was asked for",
        _refused_by_us("namespace_options.network is", "namespace_options.pid is"),
    ),
    Intended(
        "a device's place that is no absolute path, and permissions that are none, are refused",
        "containerd hands them on: the runtime takes the root for the place, and leaves the letters out",
        _refused_by_us("config.devices[0]."),
    ),
    Intended(
        "a propagation of mounts that is unknown is refused",
        "containerd takes it for a private one",
        _refused_by_us(".propagation is 9"),
    ),
    Intended(
        "the node's user namespace may be asked for by name in a container of a pod that asks for none",
        "both mean the same; containerd compares the messages",
        _taken_by_us("user namespace config for sandbox is different from container"),
    ),
    Intended(
        "a pod with users of its own may be on the node's network",
        "containerd 2.1 looks for the network namespace that those users own",
        _taken_by_us("failed to pin user namespace"),
    ),
    Intended(
        "an image whose files have more names than one can be copied for a pod with users of its own",
        "containerd gives such a file away once for each of its names, and finds no id for the second time",
        _taken_by_us("cannot be mapped to a host ID"),
    ),
)
