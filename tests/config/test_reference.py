"""The options' reference is what the settings are."""

from __future__ import annotations

from pathlib import Path

from cri_shim.config.loader import PLUGINS
from cri_shim.config.reference import reference

OPTIONS = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_document_is_up_to_date():
    assert OPTIONS.read_text() == reference(), "cri-shim config reference > docs/options.md"


def test_every_table_is_in_it_with_its_keys_kinds_defaults_and_what_they_are_for():
    text = reference()
    for plugin in PLUGINS.values():
        assert f'## `[plugins."{plugin}"]`\n' in text
    assert '| `log_level` | text | `"info"` | trace, debug, info, warn, error |\n' in text
    assert '| `shim_timeout` | duration | `"30s"` | of a stop' in text
    assert '## `[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.<name>]`\n' in text


def test_what_has_no_effect_says_so():
    lines = [line for line in reference().splitlines() if "(no effect in cri-shim)" in line]
    assert any(line.startswith("| `max_concurrent_downloads` |") for line in lines)
    assert not any("shim_timeout" in line for line in lines)
