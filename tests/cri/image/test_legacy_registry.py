"""Deprecated settings mean the same as the tree that is written for them."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from cri_shim.config.image_settings import Mirror, RegistryAuth, RegistryConfig, RegistrySettings, RegistryTls
from cri_shim.cri.image.credentials import configured, credentials_for
from cri_shim.cri.image.hosts import host_directory, servers
from cri_shim.cri.image.legacy_registry import hosts_files, write_hosts

PULL = ["pull", "resolve"]


def files(**settings: Any) -> dict[str, Any]:
    return {host: tomllib.loads(text) for host, text in hosts_files(RegistrySettings(**settings)).items()}


def test_nothing_deprecated_is_no_tree(tmp_path):
    assert files(config_path="/etc/containerd/certs.d", headers={"a": ("b",)}) == {}
    place = tmp_path / "registry"
    write_hosts(str(place), RegistrySettings(mirrors={"docker.io": Mirror()}))
    write_hosts(str(place), RegistrySettings())
    assert not place.exists()


def test_endpoints_keep_their_order_and_the_host_itself_is_last(tmp_path):
    settings = RegistrySettings(mirrors={"docker.io": Mirror(("https://b.test", "http://a.test:5000"))})
    write_hosts(str(tmp_path / "registry"), settings)
    directory = host_directory(str(tmp_path / "registry"), "docker.io")
    assert servers(directory, "docker.io") == ["https://b.test", "http://a.test:5000", "https://registry-1.docker.io"]
    assert os.stat(tmp_path / "registry/docker.io").st_mode & 0o777 == 0o700


def test_a_star_is_for_all_other_hosts_each_of_which_is_its_own_server():
    assert files(mirrors={"*": Mirror(("https://all.test",))}) == {
        "_default": {"host": {"https://all.test": {"capabilities": PULL}}}
    }


def test_the_path_of_an_endpoint_is_the_whole_path():
    (found,) = files(mirrors={"r.test": Mirror(("https://m.test/v2/proxy", "https://n.test/"))}).values()
    assert found["host"]["https://m.test/v2/proxy"]["override_path"] is True
    assert "override_path" not in found["host"]["https://n.test/"]


def test_tls_goes_with_the_server_that_it_names():
    tls = RegistryConfig(
        tls=RegistryTls(insecure_skip_verify=True, ca_file="/ca.pem", cert_file="/cert.pem", key_file="/key.pem")
    )
    said = {"skip_verify": True, "ca": "/ca.pem", "client": [["/cert.pem", "/key.pem"]]}
    assert files(configs={"r.test": tls}) == {"r.test": {"server": "https://r.test", **said}}
    found = files(configs={"m.test:5000": tls}, mirrors={"r.test": Mirror(("https://m.test:5000",))})
    assert found["r.test"] == {
        "server": "https://r.test",
        "host": {"https://m.test:5000": {"capabilities": PULL, **said}},
    }


def test_credentials_are_for_their_host_and_alone_make_no_file():
    registry = RegistrySettings(configs={"r.test": RegistryConfig(auth=RegistryAuth("wanda", "secret"))})
    assert hosts_files(registry) == {}
    assert credentials_for(configured(registry, "r.test"), "r.test").username == "wanda"
    assert configured(registry, "other.test") is None
