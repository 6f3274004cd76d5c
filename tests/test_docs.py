"""The pages that are made from the code say what the code says."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def tables():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["ops.md", "simplification.md", "stability.md"])
def test_a_table_lists_what_the_code_holds(page):
    text = (DOCS / page).read_text()
    assert tables().START in text
    assert text == tables().page_with_table(page), "run: python docs/tables.py --write"


def test_every_table_is_tested():
    assert set(tables().PAGES) == {"ops.md", "simplification.md", "stability.md"}
