"""The command line: `chainrule fit table.csv --target y --output run`, and its relatives."""

from chainrule.cli.entry import main

__all__ = ["main"]
