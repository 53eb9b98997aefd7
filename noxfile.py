"""The project's sessions: `nox` runs the checks, `nox -s NAME` one of them; what follows `--` goes to the tool.

Each session has an environment of its own, which is kept and used again until its dependencies or the contracts change.
The sessions with a node (integration, bench, critest, kubelet) need root, and the Debian packages that `make` names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests", "integration"]

PYTHON_TREES = ("cri_shim", "tests", "integration", "bench", "debian", "docker", "noxfile.py", "hatch_build.py")
PROJECT = ("-e", ".")
INTEGRATION_SECONDS = "300"
BUILD_SECONDS = "900"
NODE_IMAGE = "integration/kind_node"
COVERED = "95"  # of a hundred branches and lines of cri_shim/oci


def install(session: nox.Session, *wanted: str, group: str = "") -> None:
    """Install what is wanted, with a dependency group, unless this environment was made for just that."""
    stamp = Path(session.virtualenv.location) / ".installed"
    state = fingerprint()
    if stamp.exists() and stamp.read_text() == state:
        return
    grouped = nox.project.dependency_groups(nox.project.load_toml(), group) if group else ()
    session.install("--quiet", *wanted, *grouped)
    stamp.write_text(state)


def fingerprint() -> str:
    """A hash of what decides on an environment's content; the project's own modules are used in place."""
    settings = nox.project.load_toml()
    asked = {name: settings[name] for name in ("build-system", "project", "dependency-groups")}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
    for file in (Path("hatch_build.py"), *sorted(Path("protos").rglob("*.proto"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def selection(session: nox.Session, directory: str) -> list[str]:
    """Pytest's arguments: those after `--`, and the whole directory unless they name something in it."""
    named = any(Path(argument.partition("::")[0]).exists() for argument in session.posargs)
    return [*session.posargs] if named else [directory, *session.posargs]


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lint rules, and the order of the rooms."""
    install(session, group="lint")
    session.run("ruff", "format", "--check", *PYTHON_TREES)
    session.run("ruff", "check", *PYTHON_TREES)
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    install(session, *PROJECT, group="types")
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Unit tests: no root, no daemon. What specs are made of is covered, branch by branch."""
    install(session, *PROJECT, group="test")
    if session.posargs:
        session.run("pytest", "-n", "2", *selection(session, "tests"))
        return
    session.run("pytest", "-n", "2", "tests", "--ignore", "tests/oci")
    session.run("coverage", "run", "--source", "cri_shim.oci", "-m", "pytest", "tests/oci")
    session.run("coverage", "report", "--skip-covered", "--show-missing", "--fail-under", COVERED)


@nox.session
def integration(session: nox.Session) -> None:
    """A real node: containerd, runc, CNI, a registry; `--endpoint containerd` runs the same against the peer."""
    install(session, *PROJECT, group="test")
    arguments = selection(session, "integration")
    if "integration" in arguments:
        arguments += ["--ignore", NODE_IMAGE]  # which `nox -s node` is for
    session.run("pytest", "--timeout", INTEGRATION_SECONDS, *arguments)


@nox.session
def node(session: nox.Session) -> None:
    """The images of docker/, built by buildah, and a node that runs from the one for kind."""
    if not shutil.which("buildah"):
        session.error("no buildah: sudo apt-get install --no-install-recommends buildah   (`make node` does it)")
    install(session, *PROJECT, group="test")
    session.run("pytest", "--timeout", BUILD_SECONDS, *selection(session, NODE_IMAGE))


@nox.session
def bench(session: nox.Session) -> None:
    """Side by side with containerd's own CRI plugin; `--quick`, `--only KIND`, `--json FILE`."""
    install(session, *PROJECT)
    session.run("python", "-m", "bench", *session.posargs)


@nox.session
def critest(session: nox.Session) -> None:
    """The CRI validation suite, when a `critest` binary is on PATH or named by $CRITEST."""
    binary = os.environ.get("CRITEST") or shutil.which("critest")
    if not binary:
        session.skip("no critest: put it on PATH, or name it in $CRITEST")
    install(session, *PROJECT)
    session.run("python", "-m", "integration.critest", binary, *session.posargs)


@nox.session
def guest(session: nox.Session) -> None:
    """A machine of its own in qemu, for what hangs on cgroup v2, AppArmor, SELinux, systemd; `-- --list`: the steps."""
    if not shutil.which("qemu-system-x86_64"):
        session.skip("no qemu-system-x86_64: sudo apt-get install qemu-system-x86")
    install(session, *PROJECT)
    session.run("python", "-m", "integration.guest", *session.posargs)


@nox.session
def kubelet(session: nox.Session) -> None:
    """Kubernetes' kubelet with static pods, when a `kubelet` binary is on PATH or named by $KUBELET."""
    binary = os.environ.get("KUBELET") or shutil.which("kubelet")
    if not binary:
        session.skip("no kubelet: put it on PATH, or name it in $KUBELET")
    install(session, *PROJECT, group="test")
    arguments = selection(session, "integration/standalone_kubelet")
    session.run("pytest", "--timeout", INTEGRATION_SECONDS, *arguments, env={"KUBELET": binary})


@nox.session
def deb(session: nox.Session) -> None:
    """The Debian package in dist/, installed, run and purged in Debian's releases; `--build-only` leaves that out."""
    install(session, *PROJECT, "build", group="test")
    session.run("python", "-m", "build", "--wheel", "--outdir", "dist", ".", silent=True)
    wheel = max(Path("dist").glob("cri_shim-*.whl"), key=lambda path: path.stat().st_mtime)
    package = str(session.run("python", "debian/build.py", str(wheel), "dist", silent=True)).strip().splitlines()[-1]
    session.log(f"built {package}")
    if "--build-only" not in session.posargs:
        tests_of_it = ["integration/test_deb.py", *session.posargs]
        session.run("pytest", "--timeout", "900", *tests_of_it, env={"CRI_SHIM_DEB": package})
