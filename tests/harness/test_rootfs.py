"""How the host's apt and pip configuration reaches the node's build, and what Debian's versions must be."""

from __future__ import annotations

import pytest

from integration.harness import rootfs
from integration.harness.errors import HarnessError


def test_apts_proxy_and_certificates_are_passed_on_and_nothing_else() -> None:
    dump = """APT "";
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy:3128";
Acquire::https::CAInfo "/etc/ssl/own.pem";
Acquire::https::Verify-Peer "";
Acquire::Retries "3";
Acquire::Languages:: "none";
Acquire::AllowInsecureRepositories "1";
"""
    assert rootfs.apt_passed_on(dump) == [
        'Acquire::http::Proxy "http://proxy:3128"',
        'Acquire::https::CAInfo "/etc/ssl/own.pem"',
        'Acquire::Retries "3"',
    ]


def test_pips_configuration_becomes_variables_and_the_environment_has_the_last_word() -> None:
    config = """:env:.timeout='10'
global.index-url='file:///srv/packages/simple'
global.extra-index-url='file:///a/simple file:///b/simple'
install.no-binary='thing'
freeze.exclude='x'
"""
    found = rootfs.pip_environment(config, {"PIP_TIMEOUT": "60", "https_proxy": "http://proxy", "HOME": "/root"})
    assert found == {
        "PIP_TIMEOUT": "60",
        "PIP_INDEX_URL": "file:///srv/packages/simple",
        "PIP_EXTRA_INDEX_URL": "file:///a/simple file:///b/simple",
        "PIP_NO_BINARY": "thing",
        "https_proxy": "http://proxy",
        "PIP_NO_CACHE_DIR": "1",
    }


def test_files_that_the_configuration_names_are_found() -> None:
    values = ["/etc/ssl/certs/ca.crt", "file:///srv/my%20packages/simple/ https://example.org/simple", "180", "/"]
    assert rootfs.named_paths(values) == ["/etc/ssl/certs/ca.crt", "/srv/my packages"]


@pytest.mark.parametrize("version", ["2.1.9+ds1-5", "2.0.0-1", "1:2.0~rc1-1", "10.0-1"])
def test_a_containerd_from_2_0_on_is_taken(version: str) -> None:
    rootfs.require_containerd(version)


@pytest.mark.parametrize("version", ["1.7.24~ds1-6", "unknown"])
def test_an_older_containerd_is_refused_with_its_version(version: str) -> None:
    with pytest.raises(HarnessError, match=version):
        rootfs.require_containerd(version)


def test_the_dependencies_are_those_of_the_project() -> None:
    assert any(requirement.startswith("grpclib") for requirement in rootfs.dependencies())
