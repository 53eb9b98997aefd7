from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cri_shim.errors import InvalidArgument
from cri_shim.linux import cdi, documents

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, name: str = "a", value: str = "1", kind: str = "v.example/c") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"cdiVersion: 0.5.0\nkind: {kind}\ncontainerEdits: {{env: [SPEC={kind}]}}\n"
        f"devices: [{{name: {name}, containerEdits: {{env: [V={value}]}}}}]\n"
    )


def env(specs: cdi.CdiSpecs, *names: str) -> list[str]:
    return [value for edits in specs.edits(names) for value in edits.env]


@pytest.fixture
def specs(tmp_path: Path) -> cdi.CdiSpecs:
    return cdi.CdiSpecs([str(tmp_path / "etc"), str(tmp_path / "run")])


def test_a_specification_is_found_when_it_appears_changes_and_goes(specs: cdi.CdiSpecs, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"unresolvable CDI devices v\.example/c=a: no specification in"):
        specs.edits(["v.example/c=a"])
    write(tmp_path / "etc/one.yaml")
    assert env(specs, "v.example/c=a") == ["SPEC=v.example/c", "V=1"]
    write(tmp_path / "etc/one.yaml", value="2")
    assert env(specs, "v.example/c=a")[1] == "V=2"
    (tmp_path / "etc/one.yaml").unlink()
    with pytest.raises(InvalidArgument, match="unresolvable"):
        specs.edits(["v.example/c=a"])


def test_what_has_not_changed_is_not_read_again(
    specs: cdi.CdiSpecs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "etc/one.yaml")
    write(tmp_path / "etc/two.yaml", kind="v.example/d")
    read: list[str] = []
    plainly = documents.read

    def noted(path: str) -> object:
        read.append(os.path.basename(path))
        return plainly(path)

    monkeypatch.setattr(documents, "read", noted)
    for _ in range(3):
        specs.edits(["v.example/c=a"])
    assert sorted(read) == ["one.yaml", "two.yaml"]
    write(tmp_path / "etc/two.yaml", kind="v.example/e")
    specs.edits(["v.example/e=a"])
    assert sorted(read) == ["one.yaml", "two.yaml", "two.yaml"]


def test_a_later_directory_goes_before_an_earlier_one(specs: cdi.CdiSpecs, tmp_path: Path) -> None:
    write(tmp_path / "run/one.yaml", value="run")
    write(tmp_path / "etc/two.yaml", value="etc")
    assert env(specs, "v.example/c=a")[1] == "V=run"
    (tmp_path / "run/one.yaml").unlink()
    assert env(specs, "v.example/c=a")[1] == "V=etc"


def test_two_files_of_one_directory_that_have_one_device_have_none(specs: cdi.CdiSpecs, tmp_path: Path) -> None:
    write(tmp_path / "etc/one.yaml")
    write(tmp_path / "etc/two.json", value="2")
    with pytest.raises(InvalidArgument, match=r"both .*/one\.yaml and .*/two\.json have v\.example/c=a"):
        specs.edits(["v.example/c=a"])
    (tmp_path / "etc/one.yaml").unlink()
    assert env(specs, "v.example/c=a")[1] == "V=2"


def test_every_device_that_is_missing_is_named_and_what_could_not_be_read(specs: cdi.CdiSpecs, tmp_path: Path) -> None:
    write(tmp_path / "etc/one.yaml")
    (tmp_path / "etc/damaged.yaml").write_text("kind: [")
    (tmp_path / "etc/bad.json").write_text('{"cdiVersion": "9"}')
    os.mkfifo(tmp_path / "etc/fifo.yaml")
    (tmp_path / "etc/dangling.json").symlink_to("/no/such")
    with pytest.raises(InvalidArgument) as refused:
        specs.edits(["v.example/c=a", "v.example/c=b", "x/y=z"])
    text = str(refused.value)
    assert text.startswith("unresolvable CDI devices v.example/c=b, x/y=z: ")
    for words in (
        "damaged.yaml: neither JSON nor YAML",
        "bad.json: ",
        "fifo.yaml: not a regular",
        "dangling.json: No such",
    ):
        assert words in text


def test_the_edits_of_a_specification_come_once_before_its_first_device(specs: cdi.CdiSpecs, tmp_path: Path) -> None:
    write(tmp_path / "etc/one.yaml")
    write(tmp_path / "etc/two.yaml", kind="v.example/d")
    (tmp_path / "etc/other.txt").write_text("x")
    write(tmp_path / "etc/below.yaml/deep.yaml", kind="v.example/e")
    names = ["v.example/d=a", "v.example/c=a", "v.example/d=a"]
    assert env(specs, *names) == ["SPEC=v.example/d", "V=1", "SPEC=v.example/c", "V=1", "V=1"]


def test_json_is_read_without_a_yaml_parser(
    specs: cdi.CdiSpecs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a.yaml").write_text(
        '{"cdiVersion":"0.3.0","kind":"v/c","devices":[{"name":"a","containerEdits":{"env":["A=1"]}}]}'
    )
    assert env(specs, "v/c=a") == ["A=1"]


def test_modes_may_be_octal(specs: cdi.CdiSpecs, tmp_path: Path) -> None:
    write(tmp_path / "etc/a.yaml")
    text = (tmp_path / "etc/a.yaml").read_text().replace("env: [V=1]", "deviceNodes: [{path: /x, fileMode: 0640}]")
    (tmp_path / "etc/a.yaml").write_text(text)
    assert specs.edits(["v.example/c=a"])[1].device_nodes[0].file_mode == 0o640
