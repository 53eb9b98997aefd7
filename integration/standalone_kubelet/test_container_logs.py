"""Logs: as the kubelet shows them, and turned over without a line lost."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from integration.standalone_kubelet.manifest import Container, Pod
from integration.standalone_kubelet.standalone import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from integration.standalone_kubelet.standalone import StandaloneKubelet

FOREVER = "exec sleep 100000"
LINES = 6000
# 100 bytes a line with its prefix; 64 KiB, the size at which a log is turned over, is reached again and again.
CHATTY = (
    f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); printf '%06d %049d\\n' $i 0; "
    "[ $((i % 50)) = 0 ] && sleep 0.1; done; "
)


def test_a_log_is_shown_whole_or_from_its_end(kubelet: StandaloneKubelet) -> None:
    script = f"echo one; echo two >&2; sleep 2; echo three; {FOREVER}"
    kubelet.runs(Pod(name="log", containers=(Container(script=script),)))
    whole = eventually(lambda: log if "three" in (log := kubelet.log("log")) else None, 10)
    assert sorted(whole.splitlines()) == ["one", "three", "two"]
    assert kubelet.log("log", tailLines="1") == "three\n"
    stamp, _, line = kubelet.log("log", timestamps="true", tailLines="1").partition(" ")
    assert line == "three\n"
    assert kubelet.log("log", sinceTime=stamp) == "three\n"


def test_a_log_is_turned_over_and_no_line_is_lost(kubelet: StandaloneKubelet) -> None:
    kubelet.run(Pod(name="chatty", containers=(Container(script=f"{CHATTY} echo end; {FOREVER}"),)))
    kubelet.until("chatty", lambda status: status.container().state.running)
    directory = kubelet.log_directory("chatty")
    found: dict[str, list[str]] = {}

    def ended() -> list[str] | None:
        last = read(directory / "0.log")
        for path in turned_over(directory):  # again and again: it is written to until the runtime has let go of it
            found[path.name.removesuffix(".gz")] = read(path)
        return last if last and last[-1].endswith(" end") else None

    last = eventually(ended, 90)
    lines = [line for name in sorted(found) for line in found[name]] + last
    numbers = [int(line.split()[3]) for line in lines[:-1]]
    assert len(found) >= 3, "the log was hardly ever turned over"
    assert numbers == list(range(1, LINES + 1))
    assert len(turned_over(directory)) <= 2


def test_logs_go_with_their_pod(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="log-goes", containers=(Container(script=f"echo hello; {FOREVER}"),)))
    directory = kubelet.log_directory("log-goes")
    assert directory.exists()
    kubelet.remove("log-goes")
    eventually(lambda: not directory.exists() or None, 150)


def turned_over(directory: Path) -> list[Path]:
    """The files that a log was turned over to, as they are called before they are compressed or after."""
    return [path for path in directory.glob("0.log.*") if path.suffix != ".tmp"]


def read(path: Path) -> list[str]:
    """The lines of a log file."""
    return (gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()).splitlines()
