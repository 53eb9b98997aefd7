"""`protos/` says what the tables say, no more and no less."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.contract import Contract, from_descriptor, from_table
from tests.contracts.descriptors import PROTOS, VIRTUAL, project_descriptors

TABLES = {
    path: contract
    for table in sorted((Path(__file__).parent / "tables").glob("*.txt"))
    for path, contract in from_table(table.read_text()).items()
}
PATHS = sorted(TABLES)
FACETS = ("package", "fields", "reserved", "enums", "services")


@pytest.fixture(scope="module")
def compiled() -> dict[str, Contract]:
    files = {file.name: from_descriptor(file) for file in project_descriptors().file}
    return {
        name.removeprefix(f"{VIRTUAL}/"): contract for name, contract in files.items() if name.startswith(f"{VIRTUAL}/")
    }


def test_every_file_stands_in_a_table_and_every_table_has_its_files(compiled):
    assert sorted(compiled) == PATHS == sorted(str(file.relative_to(PROTOS)) for file in PROTOS.rglob("*.proto"))


@pytest.mark.parametrize("facet", FACETS)
@pytest.mark.parametrize("path", PATHS)
def test_a_file_agrees_with_its_table(path, facet, compiled):
    assert getattr(compiled[path], facet) == getattr(TABLES[path], facet)


def test_nothing_of_ours_bears_a_name_of_googles_which_another_library_may_have_loaded(compiled):
    assert not [path for path, contract in compiled.items() if contract.package.split(".")[0] == "google"]


def test_the_tables_are_not_read_as_empty():
    counts = [sum(len(getattr(contract, facet)) for contract in TABLES.values()) for facet in FACETS[1:]]
    fields = sum(len(fields) for contract in TABLES.values() for fields in contract.fields.values())
    assert all(counts)
    assert fields > 1000


def test_a_line_of_no_known_kind_is_refused():
    with pytest.raises(ValueError, match=r"none of its kinds, in p\.M: '  1 x'"):
        from_table("file a\npackage p\nmessage M\n  1 x\n")
