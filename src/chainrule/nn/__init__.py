"""What networks are made of: modules that hold what is learned, and functions of arrays.

>>> import numpy as np
>>> from chainrule import nn
>>> nn.max_pool(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
array([[ 5.,  7.],
       [13., 15.]])
"""

from chainrule.nn.module import Module, Parameter
from chainrule.nn.windows import convolution, max_pool, mean_pool, sum_pool

__all__ = ["Module", "Parameter", "convolution", "max_pool", "mean_pool", "sum_pool"]
