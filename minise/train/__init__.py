"""Training in memory: `fit` yields events, `evaluate` and `predict` return results; nothing prints."""

from minise.train.loop import DivergedError as DivergedError
from minise.train.loop import EpochDone as EpochDone
from minise.train.loop import StepDone as StepDone
from minise.train.loop import evaluate as evaluate
from minise.train.loop import fit as fit
from minise.train.loop import predict as predict
from minise.train.loop import train_step as train_step
