"""Models in a form that other programs run: ONNX."""

from chainrule.train.export.model import check, onnx

__all__ = ["check", "onnx"]
