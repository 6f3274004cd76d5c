"""Data in: files and frames to tables, tables to arrays, arrays to minibatches.

>>> from chainrule import data
>>> table, info = data.load("iris")
>>> train, test = data.split(len(table), share=0.2, seed=0)
>>> preparation = data.Preparation.fitted(table[train], target=info["target"])
>>> x, y = preparation.inputs(table[train]), preparation.targets(table[train])
>>> data.Arrays(x, y)
Arrays(inputs (120, 4) float32, targets (120,) int64)
>>> data.order(seed=0, epoch=0, count=120, batch_size=32).shape
(3, 32)
"""

from chainrule.data.arrays import Arrays, arrays
from chainrule.data.augment import Augment, augmented
from chainrule.data.datasets import DATASETS, Dataset, load
from chainrule.data.order import order
from chainrule.data.preparation import Preparation
from chainrule.data.read import read
from chainrule.data.splits import class_weights, label_weights, split
from chainrule.data.summary import summary
from chainrule.data.table import Column, Table
from chainrule.data.values import MISSING

__all__ = [
    "Arrays", "Augment", "Column", "DATASETS", "Dataset", "MISSING", "Preparation", "Table",
    "arrays", "augmented", "class_weights", "label_weights", "load", "order", "read", "split",
    "summary",
]  # fmt: skip
