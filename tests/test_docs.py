"""The pages that are made from the code say what the code says."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_table_of_operations_lists_the_registry():
    spec = importlib.util.spec_from_file_location("list_ops", DOCS / "list_ops.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.PAGE.read_text()
    assert text == module.page_with_table(text), "run: python docs/list_ops.py --write"
