"""Modules, parameters, initialization and layers."""

from minise.nn.init import dirac as dirac
from minise.nn.layers import SE as SE
from minise.nn.layers import Activation as Activation
from minise.nn.layers import BatchNorm as BatchNorm
from minise.nn.layers import Conv2d as Conv2d
from minise.nn.layers import Dropout as Dropout
from minise.nn.layers import Linear as Linear
from minise.nn.layers import Sequential as Sequential
from minise.nn.layers import norm_act as norm_act
from minise.nn.module import Buffer as Buffer
from minise.nn.module import Module as Module
from minise.nn.module import Parameter as Parameter
