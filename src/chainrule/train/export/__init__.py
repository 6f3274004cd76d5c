"""Models in a form that other programs run: ONNX."""

from chainrule.train.export.model import check, check_table, onnx

__all__ = ["check", "check_table", "onnx"]
