"""Modules, parameters, initialisation and layers."""

from minise.nn.layers import SE, Activation, BatchNorm, Conv2d, Dropout, Linear, Sequential
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
]
