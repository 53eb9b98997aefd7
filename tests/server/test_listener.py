"""The Unix socket that the server listens on."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import textwrap

import pytest

from cri_shim.errors import AlreadyExists, InvalidArgument
from cri_shim.server.listener import open_listener, passed_socket, socket_path


def opened(path, gid=0):
    return open_listener(f"unix://{path}", gid=gid, environment={})


def answers(path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(str(path)) == 0


def test_only_owner_and_group_may_connect_whatever_the_umask(tmp_path):
    previous = os.umask(0)
    try:
        listener = opened(tmp_path / "run" / "cri.sock")
    finally:
        os.umask(previous)
    mode = stat.S_IMODE(os.stat(listener.path).st_mode)
    listener.close()
    assert mode == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to a group that is not ours takes root")
def test_the_socket_is_given_to_the_group_asked_for(tmp_path):
    listener = opened(tmp_path / "cri.sock", gid=12345)
    assert os.stat(listener.path).st_gid == 12345
    listener.close()


def test_what_a_killed_server_left_is_replaced(tmp_path):
    path = tmp_path / "cri.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(path))
    assert not answers(path)
    listener = opened(path)
    assert answers(path)
    listener.close()


def test_a_server_that_answers_keeps_its_socket(tmp_path):
    path = tmp_path / "cri.sock"
    first = opened(path)
    with pytest.raises(AlreadyExists, match="another server answers there"):
        opened(path)
    assert answers(path)
    first.close()


@pytest.mark.parametrize("make", ["write_text", "mkdir"])
def test_what_is_no_socket_is_never_removed(tmp_path, make):
    path = tmp_path / "cri.sock"
    path.write_text("precious") if make == "write_text" else path.mkdir()
    with pytest.raises(AlreadyExists, match="is no socket"):
        opened(path)
    assert path.exists()


def test_the_file_goes_with_the_listener(tmp_path):
    listener = opened(tmp_path / "cri.sock")
    listener.close()
    listener.close()
    assert not os.path.lexists(listener.path)


def test_another_servers_file_in_its_place_stays(tmp_path):
    path = tmp_path / "cri.sock"
    first = opened(path)
    os.rename(path, tmp_path / "aside")  # so that the inode is not used again
    second = opened(path)
    first.close()
    assert answers(path)
    second.close()


@pytest.mark.parametrize("address", ["", "cri.sock", "tcp://127.0.0.1:80", "unix://cri.sock", f"unix:///{'a' * 108}"])
def test_an_address_that_is_no_unix_sockets_is_refused(address):
    with pytest.raises(InvalidArgument, match="listen address"):
        socket_path(address)


def test_a_path_is_an_address():
    assert socket_path("/run/a.sock") == socket_path("unix:///run/a.sock") == "/run/a.sock"


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())}],
    ids=["none", "another process's", "of none"],
)
def test_without_sockets_of_systemds_we_make_our_own(environment):
    assert passed_socket(environment) is None


def test_more_than_one_socket_of_systemds_is_refused():
    with pytest.raises(InvalidArgument, match="systemd passed 2 sockets"):
        passed_socket({"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())})


ACTIVATED = """
    import os, socket, sys
    from cri_shim.errors import CriError
    from cri_shim.server.listener import open_listener
    os.environ["LISTEN_PID"] = str(os.getpid())
    try:
        listener = open_listener("unix:///nowhere/cri.sock")
    except CriError as error:
        sys.exit(str(error))
    assert not os.get_inheritable(listener.socket.fileno())
    listener.socket.settimeout(10)
    with listener.socket.accept()[0] as client:
        client.sendall(b"activated")
    listener.close()
"""


def activated(passed: socket.socket) -> subprocess.Popen[bytes]:
    """A process that finds `passed` as its descriptor 3, as systemd would start it."""
    code = f"import os; os.dup2({passed.fileno()}, 3)\n" + textwrap.dedent(ACTIVATED)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        pass_fds=[passed.fileno()],
        env={**os.environ, "LISTEN_FDS": "1"},
        stderr=subprocess.PIPE,
    )


def test_the_socket_that_systemd_passed_is_served_and_its_file_left(tmp_path):
    path = tmp_path / "cri.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        with activated(listening) as process:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(20)
                client.connect(str(path))
                assert client.recv(100) == b"activated"
            _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, b"")
    assert path.exists()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX], ids=["an internet socket", "one not listening"])
def test_another_socket_of_systemds_is_refused(family):
    with socket.socket(family, socket.SOCK_STREAM) as other, activated(other) as process:
        _, stderr = process.communicate(timeout=20)
    assert b"no listening Unix socket" in stderr
