"""The report of a run: one HTML file with its curves, figures and settings."""

from chainrule.train.report.writing import NAME, write

__all__ = ["NAME", "write"]
