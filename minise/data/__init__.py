"""Data sets, and batches of them.

cifar = load("cifar10")
batches = Batches(cifar.train, 128, mean=cifar.mean, std=cifar.std, augment=Augment(), shuffle=True)
for x, y in batches.epoch(0): ...
"""

from minise.data.augment import Augment as Augment
from minise.data.augment import normalise as normalise
from minise.data.batches import Batches as Batches
from minise.data.batches import holdout as holdout
from minise.data.download import fetch as fetch
from minise.data.registry import DATASETS as DATASETS
from minise.data.registry import Request as Request
from minise.data.registry import Spec as Spec
from minise.data.registry import load as load
from minise.data.sheet import contact_sheet as contact_sheet
from minise.data.sheet import png as png
from minise.data.sheet import write_png as write_png
from minise.data.split import Dataset as Dataset
from minise.data.split import Split as Split
from minise.data.verify import FileCheck as FileCheck
from minise.data.verify import locate as locate
from minise.data.verify import verify as verify
