"""Modules, parameters, initialisation and layers."""

from minise.nn.init import dirac
from minise.nn.layers import SE, Activation, BatchNorm, Conv2d, Dropout, Linear, Sequential, norm_act
from minise.nn.module import Buffer, Module, Parameter

__all__ = [
    "SE",
    "Activation",
    "BatchNorm",
    "Buffer",
    "Conv2d",
    "Dropout",
    "Linear",
    "Module",
    "Parameter",
    "Sequential",
    "dirac",
    "norm_act",
]
