"""Which images there are: the stand-ins that critest and cri-integration pull, and our own."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from integration.images.content import ARCHITECTURE, File, Form, Image, Layer, text

if TYPE_CHECKING:
    from integration.images.busybox import Busybox

E2E: Final = "registry.k8s.io/e2e-test-images/"
STAGING: Final = "gcr.io/k8s-staging-cri-tools/"
CONTAINERD: Final = "ghcr.io/containerd/"
OWN: Final = "docker.io/test/"
CRITEST_BY_DIGEST: Final = f"{STAGING}test-image-digest"
_BENCHMARK_REPOSITORY: Final = "public.ecr.aws/docker/library/busybox:"
BENCHMARKED: Final = tuple(_BENCHMARK_REPOSITORY + tag for tag in ("1", "1-glibc", "1-musl"))
_ENV: Final = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
_SHELL: Final[dict[str, object]] = {"Env": _ENV, "Cmd": ["sh"]}
_BIG_LAYER: Final = 8  # MiB


def images(base: Busybox, big_mebibytes: int = 104) -> list[Image]:
    """Every image; `big_mebibytes` is the size of `docker.io/test/big`, in layers of 8 MiB."""
    kitchen = _Kitchen(base)
    return [
        *_critest(kitchen),
        *_cri_integration(kitchen),
        *_own(kitchen),
        *_odd(kitchen),
        *_storage_forms(kitchen),
        _big(kitchen, big_mebibytes),
    ]


@dataclass
class _Kitchen:
    """The recurring kinds of image."""

    base: Busybox
    root: Layer = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.base.layer()

    @property
    def program(self) -> bytes:
        """The binary of programs.c, which does what its name says."""
        return self.base.program

    def shell(self, *names: str, note: str, mark: str = "", form: Form = Form.DOCKER_LIST, **config: object) -> Image:
        """Busybox, with one small file of its own so that it is another image than its neighbours."""
        layers = (self.root, (text("marker", mark),)) if mark else (self.root,)
        return Image(names, layers, _SHELL | config, note, form)

    def server(self, kind: str, *names: str, port: int = 80, note: str) -> Image:
        """A web server: `nginx` or `httpd`."""
        program = f"/usr/sbin/{kind}"
        config = {
            "Env": _ENV,
            "Cmd": [program, str(port)],
            "ExposedPorts": {f"{port}/tcp": {}},
            "StopSignal": "SIGQUIT",
        }
        return Image(names, (self.root, (File(program, self.program),)), config, note, Form.DOCKER_LIST)

    def user(self, name: str, value: str) -> Image:
        """An image whose config has a user."""
        note = f"critest: an image whose User is `{value}`"
        return self.shell(f"{STAGING}test-image-user-{name}:latest", mark=name, User=value, note=note)

    def pause(self, *names: str, note: str, marked: bool) -> Image:
        """A sandbox image."""
        config = {"Env": _ENV, "Entrypoint": ["/pause"], "User": "65535:65535", "WorkingDir": "/"}
        layers: tuple[Layer, ...] = ((File("pause", self.program),),)
        if marked:
            layers += ((text("marker", "pause"),),)
        return Image(names, layers, config, note, Form.DOCKER_LIST)


def _critest(kitchen: _Kitchen) -> list[Image]:
    return [*_critest_workloads(kitchen), *_critest_users(kitchen), *_critest_image_tests(kitchen), *_pause(kitchen)]


def _critest_workloads(kitchen: _Kitchen) -> list[Image]:
    return [
        kitchen.shell(
            f"{E2E}busybox:1.29-2",
            f"{E2E}busybox:1.29-4",
            "docker.io/library/busybox:latest",
            note="critest: the image of most cases; a shell, `top`, `netstat`, `ipcs`, `pgrep`, each a file",
        ),
        kitchen.server(
            "nginx",
            f"{E2E}nginx:1.14-2",
            "docker.io/library/nginx:latest",
            note="critest: port forward and mapping, PID namespaces; `/var/run/nginx.pid`, `nginx: master process`",
        ),
        kitchen.server("httpd", f"{E2E}httpd:2.4.39-4", note="critest: two containers in a pod; `httpd` in its log"),
        kitchen.server(
            "nginx",
            f"{STAGING}hostnet-nginx-{ARCHITECTURE}:latest",
            port=12003,
            note="critest: port forward with host network; port 12003",
        ),
        Image(
            (f"{E2E}nonewprivs:1.3",),
            (kitchen.root, (File("nnp", kitchen.program, 0o4755),)),
            {"Env": _ENV, "Entrypoint": ["/nnp"]},
            "critest: set-user-ID root program that prints `Effective uid: N`",
            Form.DOCKER_LIST,
        ),
    ]


def _critest_users(kitchen: _Kitchen) -> list[Image]:
    members = kitchen.base.layer(
        "default-user:x:1000:1000::/home:/bin/sh\n",
        "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n",
    )
    return [
        kitchen.user("uid", "1002"),
        kitchen.user("username", "www-data"),
        kitchen.user("uid-group", "1003:1004"),
        kitchen.user("username-group", "www-data:1004"),
        Image(
            (f"{STAGING}test-image-predefined-group:latest",),
            (members,),
            _SHELL | {"User": "1000"},
            "critest: user 1000 is in group 50000 in the image's /etc/group (SupplementalGroupsPolicy)",
            Form.DOCKER_LIST,
        ),
    ]


def _critest_image_tests(kitchen: _Kitchen) -> list[Image]:
    shell = kitchen.shell
    different = (shell(f"{STAGING}test-image-{n}:latest", mark=str(n), note="critest: one of three") for n in (1, 2, 3))
    tags = (f"{STAGING}test-image-tags:{n}" for n in (1, 2, 3))
    benchmarked = ("1.35.0-glibc", "1-uclibc", "1", "1-glibc", "1-musl")
    return [
        shell(f"{STAGING}test-image-latest:latest", mark="latest", note="critest: pulled without a tag"),
        shell(
            f"{STAGING}test-image-tag:test",
            mark="tag-test",
            note="critest: pull, time-out, removal, consistency, image volumes",
        ),
        shell(f"{STAGING}test-image-tag:all", mark="tag-all", note="critest: status by id, every tag and every digest"),
        shell(*tags, mark="tags", note="critest: three tags of one image"),
        *different,
        shell(
            f"{CRITEST_BY_DIGEST}:latest",
            mark="digest",
            form=Form.DOCKER,
            note="critest: pulled by digest; the digest is fixed in critest, see --critest",
        ),
        *(shell(_BENCHMARK_REPOSITORY + tag, mark=tag, note="critest: its image benchmark") for tag in benchmarked),
    ]


def _pause(kitchen: _Kitchen) -> list[Image]:
    return [
        kitchen.pause(
            "registry.k8s.io/pause:3.9",
            "k8s.gcr.io/pause:3.9",
            note="critest: one image under two registries (not the sandbox image: the test removes it)",
            marked=False,
        ),
        kitchen.pause(
            *(f"registry.k8s.io/pause:{version}" for version in ("3.8", "3.10", "3.10.1", "3.10.2")),
            note="sandbox image of containerd 1.7 to 2.3, CRI-O and kubeadm; `/pause`",
            marked=True,
        ),
    ]


def _cri_integration(kitchen: _Kitchen) -> list[Image]:
    return [
        kitchen.shell(f"{CONTAINERD}busybox:1.36", mark="containerd", note="cri-integration: most cases"),
        Image(
            (f"{CONTAINERD}alpine:3.14.0", f"{CONTAINERD}alpine:latest"),
            (kitchen.base.layer(symlinks=True),),
            {"Env": _ENV, "Cmd": ["/bin/sh"]},
            "cri-integration: image volumes; applets are symbolic links to `/bin/busybox`",
            Form.DOCKER_LIST,
        ),
        kitchen.server("nginx", f"{CONTAINERD}nginx:1.27.0", note="cri-integration: user namespace"),
        Image(
            (f"{E2E}resource-consumer:1.10",),
            (kitchen.root,),
            {"Env": _ENV, "Cmd": ["/bin/pause"]},
            "cri-integration: `stress -m N --vm-bytes SIZE -t SECONDS` inside it raises the memory statistics",
            Form.DOCKER_LIST,
        ),
        _copied_up(kitchen),
        Image(
            (f"{CONTAINERD}volume-ownership:2.1",),
            (kitchen.root, (File("test_dir", owner=(65534, 65534)),)),
            _SHELL | {"Volumes": {"/test_dir": {}}},
            "cri-integration: a volume owned by 65534:65534",
            Form.DOCKER_LIST,
        ),
    ]


def _copied_up(kitchen: _Kitchen) -> Image:
    content = (
        File("test_dir"),
        text("test_dir/test_file", "test_content\n"),
        File("C:"),
        File("C:/weird_test_dir"),
        text("C:/weird_test_dir/weird_test_file", "test_content\n"),
        File(":colon_prefixed"),
        text(":colon_prefixed/colon_prefixed_file", "test_content\n"),
    )
    return Image(
        (f"{CONTAINERD}volume-copy-up:2.1", f"{CONTAINERD}volume-copy-up:2.2"),
        (kitchen.root, content),
        _SHELL | {"Volumes": {"/test_dir": {}, "C:/weird_test_dir": {}, "/:colon_prefixed": {}}},
        "cri-integration: volumes that start with the image's content",
        Form.DOCKER_LIST,
    )


def _own(kitchen: _Kitchen) -> list[Image]:
    """What our tests and benchmarks ask for beyond those."""
    root = kitchen.root
    return [
        Image(
            (f"{OWN}tools:1",),
            (root, (text("marker", "tools"),)),
            _SHELL,
            "`flood MIB WIDTH` (numbered log lines), `pause` (ends at SIGTERM), `stress`, busybox",
        ),
        Image(
            (f"{OWN}volumes:1",),
            (root, (File("data"), text("data/kept", "from the image\n", 0o600))),
            _SHELL
            | {
                "Volumes": {"/data": {}, "/empty": {}},
                "WorkingDir": "/made/by/the/runtime",
                "StopSignal": "SIGINT",
            },
            "volumes, a working directory that does not exist, stop signal SIGINT",
        ),
        Image(
            (f"{OWN}parts:1",),
            (
                root,
                (
                    File("data", mode=0o1751, owner=(7, 8)),
                    text("data/file", "from the image\n", 0o640),
                    File("data/set-id", b"x", 0o6755, owner=(33, 44)),
                    File("data/hard", mode=0o640, link="data/file"),
                    File("data/soft", symlink="file", owner=(5, 6)),
                    File("data/below", mode=0o700, owner=(9, 9)),
                    File("data/below/dangling", symlink="/no/such"),
                    File("within", symlink="data"),
                    File("out", symlink="../../.."),
                    File("absolute", symlink="/data"),
                ),
            ),
            _SHELL | {"Volumes": {"/data": {}}},
            "a volume of files of every kind; a directory by links, some of which lead out",
        ),
        Image(
            (f"{OWN}entrypoint:1",),
            (root,),
            {
                "Env": [*_ENV, "FROM_IMAGE=1"],
                "Entrypoint": ["/bin/echo", "entrypoint"],
                "Cmd": ["cmd"],
                "Labels": {"a": "b"},
            },
            "entry point and command: which of them a container's command and args replace",
        ),
        Image(
            (f"{OWN}no-command:1",),
            (root, (text("marker", "no command"),)),
            {"Env": _ENV},
            "neither entry point nor command",
        ),
        Image(
            (f"{OWN}unknown-user:1",),
            (root,),
            _SHELL | {"User": "nobody-here"},
            "a user that its /etc/passwd does not have",
        ),
    ]


ODD_USERS: Final = (
    ":5",
    "7:",
    "nobody:nogroup",
    "1:2:3",
    " 5",
    "+7",
    "-1",
    "0x10",
    "2147483648",
    "hostile",
    "short:root",
)
_HOSTILE_PASSWD: Final = """# comment
hostile:x:zero:0
short:x::5
alone
:x:5:5

twice:x:11:12
twice:x:13:14
 spaced :x: 6 : 7 :::
much:x:15:16:a:b:c:d:e
over:x:99999999999999999999:1
1000:x:17:18
"""
_HOSTILE_GROUP: Final = """nogroup:x:99:twice,  spaced
bad:x:none:twice
short
:x:21:twice
twice:x:22:twice
member:x:23:other,twice,
over:x:99999999999999999999:twice
"""


def _odd(kitchen: _Kitchen) -> list[Image]:
    """Images whose configs and account files are at the edge of what may be."""
    layers = (kitchen.root, (text("etc/passwd", _HOSTILE_PASSWD), text("etc/group", _HOSTILE_GROUP)))
    configs: dict[str, dict[str, object]] = {
        "accounts": {},
        "entrypoint": {"Entrypoint": [""], "Cmd": ["d"]},
        "env": {"Env": ["A", "=x", "PATH", "B=1", "B=2", "HOSTNAME"]},
        "directory": {"WorkingDir": "relative/dir"},
        "labels": {"Labels": {"containerd.io/x": "1", "io.cri-containerd.kind": "fake", "long": "x" * 4096, "": "e"}},
        "signal-number": {"StopSignal": "15"},
        "signal": {"StopSignal": "SIGNONSENSE"},
        "volumes": {"Volumes": {"relative": {}, "/a/../b": {}, "/data/": {}, "/etc/hosts": {}}},
        **{f"user-{number}": {"User": user} for number, user in enumerate(ODD_USERS)},
    }
    note = "at the edge of what an image's config and account files may be"
    return [Image((f"{OWN}odd-{name}:1",), layers, _SHELL | config, note) for name, config in configs.items()]


def _storage_forms(kitchen: _Kitchen) -> list[Image]:
    """One image for each way in which a registry may hold an image."""
    root = kitchen.root
    foreign = (text("foreign", "s390x\n"),)
    many = ((text("marker", f"layer {n}"), text(f"layers/{n}", str(n))) for n in range(40))
    below = (
        File("gone"),
        text("gone/a", "a"),
        text("gone-file", "x"),
        File("opaque"),
        text("opaque/below", "b"),
    )
    above = (
        File(".wh.gone", b""),
        File(".wh.gone-file", b""),
        File("opaque"),
        File("opaque/.wh..wh..opq", b""),
        text("opaque/above", "c"),
    )
    marked = {kind: (root, (text("marker", kind),)) for kind in ("schema2", "single", "plain")}
    return [
        Image((f"{OWN}schema2:1",), marked["schema2"], _SHELL, "a single Docker schema 2 manifest", Form.DOCKER),
        Image((f"{OWN}single:1",), marked["single"], _SHELL, "a single OCI manifest, no index", Form.OCI),
        Image((f"{OWN}uncompressed:1",), marked["plain"], _SHELL, "layers not compressed", Form.OCI, compressed=False),
        Image(
            (f"{OWN}foreign:1",),
            (foreign,),
            _SHELL,
            "for s390x alone: a pull must say so",
            Form.OCI,
            platform=("linux", "s390x"),
        ),
        Image((f"{OWN}many-layers:1",), (root, *many), _SHELL, "41 layers"),
        Image(
            (f"{OWN}whiteout:1",),
            (root, below, above),
            _SHELL,
            "whiteouts: /gone and /gone-file are removed, /opaque holds only `above`",
        ),
    ]


def _big(kitchen: _Kitchen, mebibytes: int) -> Image:
    noise = random.Random(0)  # the same bytes every time, and they do not compress
    layers = (
        (File(f"big/{number}", noise.randbytes(_BIG_LAYER << 20), 0o644),) for number in range(mebibytes // _BIG_LAYER)
    )
    note = f"{mebibytes} MiB that do not compress, in {_BIG_LAYER} MiB layers: pull speed"
    return Image((f"{OWN}big:{mebibytes}", f"{OWN}big:latest"), (kitchen.root, *layers), _SHELL, note, Form.OCI)
