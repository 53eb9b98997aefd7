"""Hooks, and how pods end: told first, given their time, then killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from integration.standalone_kubelet.manifest import At, Container, Exec, Hook, Lifecycle, Pod

if TYPE_CHECKING:
    from integration.standalone_kubelet.host_directory import HostDirectory
    from integration.standalone_kubelet.standalone import StandaloneKubelet

FOREVER = "exec sleep 100000"
TELLS = "trap 'echo told >>/kept/order; exit 0' TERM; while :; do sleep 0.1; done"


def by_shell(script: str) -> Hook:
    return Hook(exec_=Exec(command=("sh", "-c", script)))


def test_a_container_runs_once_its_hook_has(kubelet: StandaloneKubelet) -> None:
    hook = Lifecycle(post_start=by_shell("sleep 2; touch /tmp/hooked"))
    began = time.monotonic()
    kubelet.runs(Pod(name="post-start", containers=(Container(script=FOREVER, lifecycle=hook),)))
    assert time.monotonic() - began >= 2
    assert kubelet.sh("post-start", "ls /tmp").split() == ["hooked"]


def test_a_container_whose_hook_fails_is_killed(kubelet: StandaloneKubelet) -> None:
    hook = Lifecycle(post_start=by_shell("echo no good; exit 9"))
    kubelet.run(Pod(name="post-start-fails", containers=(Container(script=FOREVER, lifecycle=hook),)))
    status = kubelet.until("post-start-fails", lambda status: status.container().restart_count >= 1)
    last = status.container().last_state.terminated
    assert last
    assert last.exit_code == 137


def test_the_hook_before_the_end_runs_before_the_signal(kubelet: StandaloneKubelet, kept: HostDirectory) -> None:
    hook = Lifecycle(pre_stop=by_shell("sleep 1; echo hook >>/kept/order"))
    container = Container(script=TELLS, lifecycle=hook, volume_mounts=(kept.mount,))
    kubelet.runs(Pod(name="pre-stop", containers=(container,), volumes=(kept.volume,), grace=10))
    kubelet.remove("pre-stop")
    kubelet.gone("pre-stop")
    assert kept.lines("order") == ["hook", "told"]


def test_the_hook_before_the_end_may_be_a_request(kubelet: StandaloneKubelet, kept: HostDirectory) -> None:
    server = "mkdir -p /www/cgi-bin; cp /kept/hook /www/cgi-bin; httpd -p 8080 -h /www; "
    kept.path.mkdir(parents=True)
    hook_file = kept.path / "hook"
    hook_file.write_text("#!/bin/sh\necho hook >>/kept/order\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n")
    hook_file.chmod(0o755)
    hook = Lifecycle(pre_stop=Hook(http_get=At(port=8080, path="/cgi-bin/hook")))
    container = Container(script=server + TELLS, lifecycle=hook, volume_mounts=(kept.mount,))
    kubelet.runs(Pod(name="pre-stop-http", containers=(container,), volumes=(kept.volume,), grace=10))
    kubelet.remove("pre-stop-http")
    kubelet.gone("pre-stop-http")
    assert kept.lines("order") == ["hook", "told"]


def test_a_pod_has_its_time_to_end(kubelet: StandaloneKubelet, kept: HostDirectory) -> None:
    script = "trap 'sleep 2; echo done >/kept/order; exit 0' TERM; while :; do sleep 0.1; done"
    container = Container(script=script, volume_mounts=(kept.mount,))
    kubelet.runs(Pod(name="graceful", containers=(container,), volumes=(kept.volume,), grace=20))
    kubelet.remove("graceful")
    kubelet.gone("graceful", seconds=15)
    assert kept.lines("order") == ["done"]


def test_what_does_not_end_in_time_is_killed(kubelet: StandaloneKubelet, kept: HostDirectory) -> None:
    script = "trap 'echo told >>/kept/order' TERM; while :; do sleep 0.1; done"
    container = Container(script=script, volume_mounts=(kept.mount,))
    kubelet.runs(Pod(name="stubborn", containers=(container,), volumes=(kept.volume,), grace=3))
    kubelet.remove("stubborn")
    began = time.monotonic()
    kubelet.gone("stubborn")
    assert time.monotonic() - began >= 3
    assert kept.lines("order") == ["told"]


def test_a_changed_manifest_ends_the_old_pod_before_the_new_one(
    kubelet: StandaloneKubelet, kept: HostDirectory
) -> None:
    def version(number: int) -> Pod:
        script = f"echo {number} begins >>/kept/order; trap 'sleep 1; echo {number} ends >>/kept/order; exit 0' TERM; "
        container = Container(script=script + "while :; do sleep 0.1; done", volume_mounts=(kept.mount,))
        return Pod(name="changed", containers=(container,), volumes=(kept.volume,), grace=10)

    before = kubelet.runs(version(1)).container().id
    kubelet.run(version(2))
    kubelet.until("changed", lambda status: status.condition("Ready") and status.container().id != before)
    assert kept.lines("order") == ["1 begins", "1 ends", "2 begins"]
