"""What networks are made of: modules that hold what is learned, and functions of arrays.

>>> import numpy as np
>>> from chainrule import nn
>>> nn.max_pool(np.arange(16.0).reshape(1, 4, 4, 1), 2)[0, :, :, 0]
array([[ 5.,  7.],
       [13., 15.]])
"""

from chainrule.nn import builders, inference, init, losses
from chainrule.nn.activations import (
    Activation,
    Swish,
    elu,
    gelu,
    identity,
    leaky_relu,
    mish,
    relu,
    selu,
    sigmoid,
    softmax,
    softplus,
    swish,
    tanh,
)
from chainrule.nn.attention import MultiHeadAttention
from chainrule.nn.autoencoder import Autoencoder
from chainrule.nn.boltzmann import RBM
from chainrule.nn.builders import BUILDERS
from chainrule.nn.clipping import SoftClip
from chainrule.nn.convolutions import Conv1d, Conv2d
from chainrule.nn.deep_belief import DeepBelief
from chainrule.nn.dense import DenseBlock, DenseLayer, Transition
from chainrule.nn.dropout import Dropout
from chainrule.nn.embedding import Embedding
from chainrule.nn.image_networks import CNN, DenseNet, ResNet
from chainrule.nn.layer_outputs import LayerOutput, layer_outputs, named_modules
from chainrule.nn.linear import Linear
from chainrule.nn.lstm import LSTM
from chainrule.nn.lsuv import lsuv
from chainrule.nn.module import Module, Parameter
from chainrule.nn.normalisation import BatchNorm, LayerNorm
from chainrule.nn.pools import (
    AdaptiveMaxPool,
    AdaptiveMeanPool,
    Flatten,
    GlobalMeanPool,
    MaxPool1d,
    MaxPool2d,
    MeanPool1d,
    MeanPool2d,
)
from chainrule.nn.residual import (
    Bottleneck2d,
    Residual,
    ResidualBlock,
    ResidualBlock2d,
    ZeroShortcut,
)
from chainrule.nn.sequential import MLP, Sequential
from chainrule.nn.skips import SkipMLP, Stack
from chainrule.nn.summary import Summary, summary
from chainrule.nn.tied import Tied
from chainrule.nn.vector_networks import DenseMLP, ResidualMLP
from chainrule.nn.windows import convolution, max_pool, mean_pool, sum_pool

__all__ = [
    "BUILDERS", "CNN", "LSTM", "MLP", "RBM", "Activation", "AdaptiveMaxPool",
    "AdaptiveMeanPool", "Autoencoder", "BatchNorm", "Bottleneck2d", "Conv1d", "Conv2d",
    "DeepBelief", "DenseBlock", "DenseLayer", "DenseMLP", "DenseNet", "Dropout", "Embedding",
    "Flatten", "GlobalMeanPool", "LayerNorm", "LayerOutput", "Linear", "MaxPool1d", "MaxPool2d",
    "MeanPool1d", "MeanPool2d", "Module", "MultiHeadAttention", "Parameter", "ResNet",
    "Residual", "ResidualBlock", "ResidualBlock2d", "ResidualMLP", "Sequential", "SkipMLP",
    "SoftClip", "Stack", "Summary", "Swish", "Tied", "Transition", "ZeroShortcut", "builders",
    "convolution", "elu", "gelu", "identity", "inference", "init", "layer_outputs",
    "leaky_relu", "losses", "lsuv", "max_pool", "mean_pool", "mish", "named_modules", "relu",
    "selu", "sigmoid", "softmax", "softplus", "sum_pool", "summary", "swish", "tanh",
]  # fmt: skip
