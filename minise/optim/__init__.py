"""Optimizers and learning-rate schedules, each with its table by name."""

from minise.optim.optimizers import OPTIMIZERS as OPTIMIZERS
from minise.optim.optimizers import SGD as SGD
from minise.optim.optimizers import AdamW as AdamW
from minise.optim.optimizers import Muon as Muon
from minise.optim.optimizers import Optimizer as Optimizer
from minise.optim.optimizers import make_optimizer as make_optimizer
from minise.optim.schedules import SCHEDULES as SCHEDULES
from minise.optim.schedules import make_schedule as make_schedule
