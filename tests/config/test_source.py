"""Lines of keys, found in the text itself."""

from __future__ import annotations

import pytest

from cri_shim.config.source import Origin, plain, tree

TEXT = '''\
a = 1
# b = 0
"quoted key" = """
a.text = 2
of = "lines"
"""
list = [
  1,  # [table]
  2,
]

[table."x.y"]
b.c = { d = 5, e = 6 }
[[table.rows]]
f = 1
[[table.rows]]
f = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("quoted key",), 3),
        (("list",), 7),
        (("table",), 12),
        (("table", "x.y"), 12),
        (("table", "x.y", "b", "c", "e"), 13),
        (("table", "rows"), 14),
        (("table", "rows", "1", "f"), 14),
        (("table", "x.y", "not there"), 12),
        (("of",), None),
    ],
)
def test_a_key_is_on_its_line_or_its_tables(path: tuple[str, ...], line: int | None) -> None:
    assert Origin("f", TEXT, path).line == line


def test_an_origin_reads_as_file_line_and_key_as_written() -> None:
    assert str(Origin("f", TEXT, ("table", "x.y", "b"))) == 'f:13: table."x.y".b'
    assert str(Origin("flag", "", ("x",))) == "flag: x"


def test_a_tree_gives_its_plain_values_back() -> None:
    data = {"a": {"b": [1, {"c": 2}]}, "d": {}}
    assert plain(tree(data, Origin("f"))) == data
