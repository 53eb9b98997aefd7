"""A failure keeps its kind, and what it knows, whatever is said before its text."""

from __future__ import annotations

from cri_shim import errors
from cri_shim.cni.plugin import PluginError
from cri_shim.containerd.channel import ConnectionFailed


def test_a_failure_is_preceded_by_what_was_being_done():
    error = errors.NotFound("image x").because("failed to pull")
    assert type(error) is errors.NotFound
    assert str(error) == "failed to pull: image x"


def test_what_a_failure_knows_beside_its_text_is_kept():
    lost = ConnectionFailed("containerd went away", sent=True).because("failed to pull")
    assert isinstance(lost, ConnectionFailed)
    assert (str(lost), lost.sent) == ("failed to pull: containerd went away", True)
    plugin = PluginError("bridge: no", cni_code=11).because("network")
    assert isinstance(plugin, PluginError)
    assert (str(plugin), plugin.cni_code) == ("network: bridge: no", 11)
