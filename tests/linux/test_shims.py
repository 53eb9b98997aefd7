from __future__ import annotations

import subprocess
import sys

from cri_shim.linux.shims import is_shim_of, kill_shims

ARGUMENTS = ["/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "abc", "-address", "/run/c.sock"]


def test_a_shim_is_known_by_its_program_and_all_of_its_options() -> None:
    assert is_shim_of(ARGUMENTS, "/run/c.sock", "k8s.io", "abc")
    assert not is_shim_of(ARGUMENTS, "/run/other.sock", "k8s.io", "abc")
    assert not is_shim_of(ARGUMENTS, "/run/c.sock", "moby", "abc")
    assert not is_shim_of(ARGUMENTS, "/run/c.sock", "k8s.io", "ab")
    assert not is_shim_of(["/bin/sh", *ARGUMENTS[1:]], "/run/c.sock", "k8s.io", "abc")
    assert not is_shim_of([], "/run/c.sock", "k8s.io", "abc")


def test_only_the_shims_of_that_task_are_killed() -> None:
    def start(task_id: str) -> subprocess.Popen[bytes]:
        options = ["-namespace", "test", "-id", task_id, "-address", "/nowhere"]
        script = ["-c", "import time; time.sleep(60)"]
        return subprocess.Popen(["containerd-shim-test", *script, *options], executable=sys.executable)

    with start("mine") as mine, start("other") as other:
        assert kill_shims("/nowhere", "test", "mine") == 1
        assert mine.wait(5) == -9
        assert other.poll() is None
        other.kill()
