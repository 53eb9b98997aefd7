"""What is run, as whom, with which environment."""

from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import (
    ENTRYPOINT,
    GROUPS,
    NO_COMMAND,
    ORDINARY,
    UNKNOWN_USER,
    VOLUMES,
    Context,
    case,
    env,
    number,
    of_user,
    pod,
)

STRICT = cri.SupplementalGroupsPolicy.Strict
NAMELESS = pod(fields={"hostname": ""})
LOGLESS = pod(fields={"log_directory": ""})

CASES = (
    case("nothing in particular"),
    case("no Linux part", linux=None),
    case("no security context", linux=cri.LinuxContainerConfig()),
    case("no metadata", metadata=None),
    case("no name", metadata=cri.ContainerMetadata()),
    # ── arguments ───────────────────────────────────────────────────────────────────────────────────────────────────
    case("a command", command=["a"]),
    case("arguments alone", command=[], args=["b"]),
    case("a command and arguments", command=["a"], args=["b", ""]),
    case("the image's entry point and command", image=ENTRYPOINT, command=[]),
    case("arguments for the image's entry point", image=ENTRYPOINT, command=[], args=["b"]),
    case("a command in place of the image's entry point", image=ENTRYPOINT, command=["a"]),
    case("a command and arguments in place of the image's", image=ENTRYPOINT, command=["a"], args=["b"]),
    case("arguments and an image without an entry point", image=NO_COMMAND, command=[], args=["b"]),
    case("nothing to run", image=NO_COMMAND, command=[]),
    # ── environment ─────────────────────────────────────────────────────────────────────────────────────────────────
    case("variables", envs=env(A="1", B="")),
    case("a variable twice", envs=[*env(A="1"), *env(A="2")]),
    case("variables with odd keys", envs=[*env(**{"": "q", "B=C": "3", "with space": "4"})]),
    case("a variable that is no ASCII", envs=env(U="<é&\u2028\U0001f600>")),
    case("a variable that is no UTF-8", envs=[cri.KeyValue(key="X", value=b"a\xff\xfeb")]),
    case("another PATH and HOSTNAME", envs=env(PATH="/bin", HOSTNAME="other")),
    case("variables of the image's", image=ENTRYPOINT),
    case("variables in place of the image's", image=ENTRYPOINT, envs=env(FROM_IMAGE="2", PATH="/bin")),
    case("no host name of its own", pod=NAMELESS),
    # ── terminal, directory, input ──────────────────────────────────────────────────────────────────────────────────
    case("a terminal", tty=True),
    case("a terminal of another kind", tty=True, envs=env(TERM="vt100")),
    case("a terminal with input", tty=True, stdin=True),
    case("input", stdin=True),
    case("input once", stdin=True, stdin_once=True),
    case("a directory", working_dir="/tmp"),
    case("a directory that isn't there", working_dir="/made/by/us"),
    case("a directory that is no path", working_dir="relative"),
    case("the image's directory", image=VOLUMES),
    case("a directory in place of the image's", image=VOLUMES, working_dir="/tmp"),
    case("no log", log_path=""),
    case("no log directory", pod=LOGLESS),
    # ── user ────────────────────────────────────────────────────────────────────────────────────────────────────────
    case("a user by number", Context(run_as_user=number(1000))),
    case("the user 0", Context(run_as_user=number(0))),
    case("a user by number with an account", Context(run_as_user=number(65534))),
    case("a user and a group", Context(run_as_user=number(1000), run_as_group=number(5))),
    case("a user and the group 0", Context(run_as_user=number(1000), run_as_group=number(0))),
    case("a user by name", Context(run_as_username="nobody")),
    case("a user by name and a group", Context(run_as_username="nobody", run_as_group=number(5))),
    case("a name that is a number", Context(run_as_username="1234")),
    case("a number and a name", Context(run_as_user=number(7), run_as_username="nobody")),
    case("the greatest number", Context(run_as_user=number(2**31 - 1))),
    case("a number too great", Context(run_as_user=number(2**31))),
    case("a number below 0", Context(run_as_user=number(-1))),
    case("a group too great", Context(run_as_user=number(1), run_as_group=number(2**31))),
    case("a group without a user", Context(run_as_group=number(7))),
    case("a user without an account", Context(run_as_username="zork")),
    case("a user and a group in one name", Context(run_as_username="nobody:5")),
    case("a user and two groups in one name", Context(run_as_username="nobody:5:6")),
    case("the image's user by number", image=of_user("uid")),
    case("the image's user by name", image=of_user("username")),
    case("the image's user and group by number", image=of_user("uid-group")),
    case("the image's user and group by name", image=of_user("username-group")),
    case("a user in place of the image's", Context(run_as_user=number(5)), image=of_user("username-group")),
    case("a group without a user, but the image's", Context(run_as_group=number(5)), image=of_user("uid")),
    case("the image's user without an account", image=UNKNOWN_USER),
    case("a user in place of the image's unknown", Context(run_as_user=number(5)), image=UNKNOWN_USER),
    # ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────────
    case("supplemental groups", Context(supplemental_groups=[9, 7])),
    case("a supplemental group twice", Context(supplemental_groups=[9, 7, 9])),
    case("supplemental groups and a user", Context(run_as_user=number(1000), supplemental_groups=[7, 3])),
    case("groups that the image has", Context(run_as_user=number(1000)), image=GROUPS),
    case(
        "groups that the image has and others", Context(run_as_user=number(1000), supplemental_groups=[1]), image=GROUPS
    ),
    case("strictly no groups", Context(supplemental_groups_policy=STRICT)),
    case("strictly these groups", Context(supplemental_groups=[7], supplemental_groups_policy=STRICT)),
    case(
        "strictly these groups, not the image's",
        Context(run_as_user=number(1000), supplemental_groups=[7], supplemental_groups_policy=STRICT),
        image=GROUPS,
    ),
    case(
        "strictly these groups with the image's user",
        Context(supplemental_groups=[3], supplemental_groups_policy=STRICT),
        image=of_user("username-group"),
    ),
    case("an unknown policy for groups", Context(supplemental_groups_policy=cri.SupplementalGroupsPolicy(5))),
    # ── signal, labels, annotations ─────────────────────────────────────────────────────────────────────────────────
    case("a stop signal", stop_signal=cri.Signal.SIGUSR1),
    case("a stop signal in place of the image's", image=VOLUMES, stop_signal=cri.Signal.SIGRTMIN),
    case("labels", labels={"a": "b", "x/y": "", "io.kubernetes.container.name": "n"}),
    case("labels in place of the image's", image=ENTRYPOINT, labels={"a": "c"}),
    case("a label of the runtime's own", labels={"io.cri-containerd.kind": "sandbox", "containerd.io/x": "y"}),
    case("a label too long", labels={"long": "x" * 4096}),
    case("annotations", annotations={"a.b/c": "d", "io.kubernetes.cri.container-type": "sandbox"}),
    case("an attempt", metadata=cri.ContainerMetadata(name="again", attempt=3), pod=ORDINARY),
)
