from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.sandbox.files import resolv_conf


def test_resolv_conf_has_searches_servers_and_options_in_this_order() -> None:
    dns = cri.DnsConfig(servers=["10.0.0.10", "fd00::a"], searches=["a.local", "b"], options=["ndots:5", "edns0"])
    assert resolv_conf(dns) == "search a.local b\nnameserver 10.0.0.10\nnameserver fd00::a\noptions ndots:5 edns0\n"


def test_an_empty_config_is_an_empty_file() -> None:
    assert resolv_conf(cri.DnsConfig()) == ""
