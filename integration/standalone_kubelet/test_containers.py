"""Containers of a pod: several, in order, restarted, limited, and as their security context wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.standalone_kubelet.manifest import Container, Exec, Mount, Pod, Probe, Resources
from integration.standalone_kubelet.standalone import eventually

if TYPE_CHECKING:
    from integration.standalone_kubelet.answers import PodStatus
    from integration.standalone_kubelet.host_directory import HostDirectory
    from integration.standalone_kubelet.standalone import StandaloneKubelet

SHARED = {"name": "shared", "emptyDir": {}}
IN_SHARED = (Mount(name="shared", mount_path="/shared"),)
FOREVER = "exec sleep 100000"
TELLS = "trap 'echo told; exit 0' TERM; while :; do sleep 0.1; done"


def test_containers_of_a_pod_share_its_network_and_its_volumes(kubelet: StandaloneKubelet) -> None:
    page = "mkdir /www; echo hello >/www/index.html; cp /www/index.html /shared; exec httpd -f -p 8080 -h /www"
    server = Container(name="server", script=page, volume_mounts=IN_SHARED)
    client = Container(name="client", script=FOREVER, volume_mounts=IN_SHARED)
    kubelet.runs(Pod(name="several", containers=(server, client), volumes=(SHARED,)))
    fetched = eventually(lambda: kubelet.sh("several", "wget -qO- http://127.0.0.1:8080/", "client") or None, 10)
    assert fetched == kubelet.sh("several", "cat /shared/index.html", "client") == "hello\n"


def test_init_containers_run_one_after_another_and_before_the_others(kubelet: StandaloneKubelet) -> None:
    def step(name: str, script: str) -> Container:
        return Container(name=name, script=script, volume_mounts=IN_SHARED)

    pod = Pod(
        name="init",
        init_containers=(
            step("first", "sleep 1; echo first >>/shared/order"),
            step("second", "echo second >>/shared/order"),
        ),
        containers=(step("main", f"echo main >>/shared/order; {FOREVER}"),),
        volumes=(SHARED,),
    )
    status = kubelet.runs(pod)
    assert kubelet.sh("init", "cat /shared/order").split() == ["first", "second", "main"]
    ended = [status.container(name).state.terminated for name in ("first", "second")]
    assert [(one.exit_code, one.reason) for one in ended if one] == [(0, "Completed")] * 2


def test_an_init_container_that_fails_is_run_again(kubelet: StandaloneKubelet) -> None:
    script = "echo run; [ -e /shared/tried ] || { touch /shared/tried; exit 4; }"
    init = Container(name="init", script=script, volume_mounts=IN_SHARED)
    pod = Pod(name="init-fails", init_containers=(init,), containers=(Container(script=FOREVER),), volumes=(SHARED,))
    status = kubelet.runs(pod)
    assert status.container("init").restart_count == 1
    last = status.container("init").last_state.terminated
    assert last is None or last.exit_code == 4


def test_a_sidecar_is_there_before_the_others_and_until_after_them(
    kubelet: StandaloneKubelet, kept: HostDirectory
) -> None:
    sidecar = Container(
        name="sidecar",
        script="trap 'echo sidecar ends >>/kept/order; exit 0' TERM; sleep 1; echo sidecar serves >>/kept/order; "
        "touch /tmp/up; while :; do sleep 0.1; done",
        restart_policy="Always",
        startup_probe=Probe(exec_=Exec(command=("cat", "/tmp/up")), failure_threshold=30),
        volume_mounts=(kept.mount,),
    )
    main = Container(
        script="echo main >>/kept/order; sleep 1; echo main ends >>/kept/order", volume_mounts=(kept.mount,)
    )
    kubelet.run(
        Pod(
            name="sidecar",
            init_containers=(sidecar,),
            containers=(main,),
            volumes=(kept.volume,),
            restart_policy="Never",
            grace=10,
        )
    )
    status = kubelet.until("sidecar", lambda status: status.phase == "Succeeded")
    assert kept.lines("order") == ["sidecar serves", "main", "main ends", "sidecar ends"]
    ended = status.container("sidecar").state.terminated
    assert ended
    assert ended.exit_code == 0


def test_a_sidecar_that_ends_is_started_again_beside_what_runs(kubelet: StandaloneKubelet) -> None:
    sidecar = Container(name="sidecar", script="sleep 1; exit 5", restart_policy="Always")
    pod = Pod(name="sidecar-ends", init_containers=(sidecar,), containers=(Container(script=FOREVER),))
    kubelet.run(pod)
    status = kubelet.until("sidecar-ends", lambda status: status.container("sidecar").restart_count >= 2)
    assert status.container("main").restart_count == 0


def test_a_container_that_ends_is_restarted_and_held_back(kubelet: StandaloneKubelet) -> None:
    kubelet.run(Pod(name="crashing", containers=(Container(script="echo run; exit 3"),)))
    status = kubelet.until("crashing", lambda status: status.container().why_waiting == "CrashLoopBackOff")
    last = status.container().last_state.terminated
    assert last
    assert (last.exit_code, last.reason) == (3, "Error")
    assert last.started_at
    assert last.finished_at
    assert last.started_at <= last.finished_at
    again = kubelet.until("crashing", lambda status: status.container().restart_count >= 3)
    assert again.container().id != status.container().id
    eventually(lambda: kubelet.log("crashing", previous="true") == "run\n" or None, 30)  # it is removed soon after


@pytest.mark.parametrize(
    ("policy", "script", "phase", "exit_code"),
    [("Never", "exit 7", "Failed", 7), ("Never", "exit 0", "Succeeded", 0), ("OnFailure", "exit 0", "Succeeded", 0)],
)
def test_what_is_not_to_be_restarted_ends_its_pod(
    kubelet: StandaloneKubelet, policy: str, script: str, phase: str, exit_code: int
) -> None:
    name = f"{policy}-{exit_code}".lower()
    kubelet.run(Pod(name=name, containers=(Container(script=script),), restart_policy=policy))
    status = kubelet.until(name, lambda status: status.phase == phase)
    ended = status.container().state.terminated
    assert ended
    assert (ended.exit_code, ended.reason) == (exit_code, "Error" if exit_code else "Completed")
    assert status.container().restart_count == 0


def test_a_container_says_why_it_ended(kubelet: StandaloneKubelet) -> None:
    writes = Container(name="writes", script="echo -n by file >/dev/termination-log; exit 1")
    logs = Container(name="logs", script="echo by log; exit 1", termination_message_policy="FallbackToLogsOnError")
    kubelet.run(Pod(name="message", containers=(writes, logs), restart_policy="Never"))
    status = kubelet.until("message", lambda status: status.phase == "Failed")
    messages = [status.container(name).state.terminated for name in ("writes", "logs")]
    assert [one.message for one in messages if one] == ["by file", "by log\n"]


def test_a_command_that_is_not_there_is_told_of(kubelet: StandaloneKubelet) -> None:
    kubelet.run(Pod(name="no-command", containers=(Container(command=("/no/such/command",)),)))
    status = kubelet.until("no-command", lambda status: status.container().last_state.terminated)
    last = status.container().last_state.terminated
    assert last
    assert (last.exit_code, last.reason) == (128, "StartError")
    assert "/no/such/command" in last.message


def test_what_takes_more_memory_than_it_may_is_killed(kubelet: StandaloneKubelet) -> None:
    limit = Resources(limits={"memory": "24Mi", "cpu": "500m"})
    pod = Pod(
        name="oom",
        containers=(Container(command=("stress", "-m", "1", "--vm-bytes", "100M", "-t", "60"), resources=limit),),
        restart_policy="Never",
    )
    kubelet.run(pod)
    status = kubelet.until("oom", lambda status: status.phase == "Failed")
    ended = status.container().state.terminated
    assert ended
    assert ended.reason == "OOMKilled"


def test_limits_are_the_containers_own_cgroups(kubelet: StandaloneKubelet) -> None:
    script = "cd /sys/fs/cgroup; cat memory.max memory/memory.limit_in_bytes cpu.max cpu/cpu.cfs_quota_us 2>&-; "
    limited = Container(script=script + FOREVER, resources=Resources(limits={"memory": "32Mi", "cpu": "250m"}))
    kubelet.runs(Pod(name="limits", containers=(limited,)))
    memory, cpu = kubelet.log("limits").splitlines()
    assert int(memory) == 32 << 20
    assert int(cpu.split()[0]) == 25_000


def test_processes_can_be_shared_by_the_containers_of_a_pod(kubelet: StandaloneKubelet) -> None:
    one = Container(name="one", command=("sleep", "4711"))
    other = Container(name="other", script=FOREVER)
    kubelet.runs(Pod(name="shared-pids", containers=(one, other), share_process_namespace=True))
    assert "sleep 4711" in kubelet.sh("shared-pids", "ps", "other")


def test_a_pod_whose_sandbox_has_died_is_made_anew(kubelet: StandaloneKubelet) -> None:
    pod = Pod(name="sandbox", containers=(Container(script=FOREVER),), share_process_namespace=True)
    before = kubelet.runs(pod).container().id
    kubelet.sh("sandbox", "kill -TERM 1")  # the sandbox's, since the pod has but one pid namespace
    status = kubelet.until(
        "sandbox", lambda status: status.condition("Ready") and status.container().id not in ("", before)
    )
    assert status.container().restart_count >= 1  # it may be tried once more in the dead sandbox
    assert status.pod_ip


def test_a_security_context_has_its_effect(kubelet: StandaloneKubelet) -> None:
    script = (
        "id -u; id -g; id -G; grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status; "
        "touch /x; touch /shared/x; ls -ln /shared; "
    )
    confined = Container(
        script=script + FOREVER,
        volume_mounts=IN_SHARED,
        security_context={
            "runAsUser": 1234,
            "runAsGroup": 2345,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    )
    pod = Pod(
        name="confined",
        containers=(confined,),
        volumes=(SHARED,),
        security_context={"fsGroup": 3456, "supplementalGroups": [4567]},
    )
    kubelet.runs(pod)
    said = kubelet.log("confined")
    uid, gid, groups, *rest = said.splitlines()
    assert (uid, gid, sorted(groups.split())) == ("1234", "2345", ["2345", "3456", "4567"])
    assert {"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} <= set(rest)
    assert "Read-only file system" in said
    assert "1234     3456" in said, "the volume is not of the pod's fsGroup"


def test_a_user_that_must_not_be_root_is_not_run_as_root(kubelet: StandaloneKubelet) -> None:
    root = Container(script=FOREVER, security_context={"runAsNonRoot": True})
    kubelet.run(Pod(name="non-root", containers=(root,)))
    status = kubelet.until("non-root", lambda status: status.container().why_waiting == "CreateContainerConfigError")
    assert "runAsNonRoot" in _waiting_message(status)


def test_a_pod_has_users_of_its_own(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="users", containers=(Container(script=FOREVER),), host_users=False))
    inside, outside, length = kubelet.sh("users", "cat /proc/self/uid_map").split()
    assert (inside, length) == ("0", "65536")
    assert int(outside) >= 65536


def _waiting_message(status: PodStatus) -> str:
    waiting = status.container().state.waiting
    return waiting.message if waiting else ""
