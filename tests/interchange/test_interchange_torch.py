"""Files between minise and the real PyTorch: each reads what the other one wrote, and computes the same."""

import io

import numpy as np
import pytest
from interchange_files import lively, make_run

from minise.interchange.exporting import export_run
from minise.interchange.match import fit
from minise.interchange.read import read_weights
from minise.interchange.weights import WeightsError
from minise.models import build
from minise.tape import Tensor, no_grad

pytestmark = pytest.mark.torch

X = np.random.default_rng(5).standard_normal((4, 3, 32, 32)).astype(np.float32)


@pytest.fixture(autouse=True)
def one_torch_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "weights.pt"
        path.write_bytes(content)
        return path

    return write


def answers(model):
    """Of a model of minise's."""
    with no_grad():
        return model.eval()(Tensor(X)).data


def their_answers(model):
    """Of a model of PyTorch's."""
    import torch

    with torch.no_grad():
        return model.eval()(torch.from_numpy(X)).numpy()


def close(a, b):
    assert np.abs(a - b).max() < 1e-5 * max(1, np.abs(b).max())


def twin_of(name, act):
    """A twin with weights of its own, as a training leaves them."""
    import torch
    from torch_models import copy_weights, like

    model = like(name, act)
    copy_weights(lively(build(name, act=act, seed=2), np.random.default_rng(2)).state_dict(), model)
    model.to(torch.float32)
    return model


def torch_file(value, **options):
    """What `torch.save` writes."""
    import torch

    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


TWINS = [("resnet20", None), ("se-resnet20", "felu"), ("se-resnet20", "elu"), ("se-fastnet-slim", "felu")]


@pytest.mark.parametrize(("name", "act"), TWINS)
def test_pytorch_reads_what_we_write(name, act, write, tmp_path):
    import torch
    from torch_models import like

    run = make_run(tmp_path / "run", name, act=act)
    path = write(export_run(run, "torch", names="twin"))
    twin = like(name, act)
    for options in ({}, {"mmap": True}):
        twin.load_state_dict(torch.load(path, weights_only=True, **options))
    close(answers(run.load_model(10)), their_answers(twin))


@pytest.mark.parametrize(("name", "act"), TWINS)
def test_we_read_what_pytorch_writes(name, act, write):
    twin = twin_of(name, act)
    found = fit(read_weights(write(torch_file(twin.state_dict()))), model=name, dataset="cifar10", act=act)
    close(answers(found.model), their_answers(twin))


def resnet20(shortcut="A"):
    """A ResNet-20 with the names of akamaster/pytorch_resnet_cifar10, with shortcuts of either kind."""
    import torch
    import torch.nn.functional as F  # noqa: N812
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.stride, self.grown = outputs // inputs, outputs - inputs
            self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, 1, bias=False)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
            if self.grown and shortcut == "B":
                conv = nn.Conv2d(inputs, outputs, 1, self.stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            pad = (0, 0, 0, 0, self.grown // 2, self.grown // 2)
            return F.relu(y + F.pad(x[:, :, :: self.stride, :: self.stride], pad))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            self.layer1 = nn.Sequential(*(Block(16, 16) for _ in range(3)))
            self.layer2 = nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
            self.layer3 = nn.Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
            return self.linear(x.mean((2, 3)))

    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        net.train()(torch.from_numpy(X))
    return net


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_of_a_training(zipped, write):
    """DataParallel, an optimiser, numbers and texts beside the state_dict; in both of PyTorch's formats."""
    import torch

    net = resnet20()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    loss = net(torch.from_numpy(X)).sum()
    loss.backward()
    optimizer.step()
    checkpoint = {
        "epoch": 12,
        "arch": "resnet20",
        "best_prec1": torch.tensor(0.91),
        "state_dict": torch.nn.DataParallel(net).state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    content = torch_file(checkpoint, _use_new_zipfile_serialization=zipped)
    found = fit(read_weights(write(content)), model="resnet20", dataset="cifar10")
    assert found.names == "akamaster"
    close(answers(found.model), their_answers(net))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_floating_point(dtype, write):
    import torch

    net = resnet20().to(getattr(torch, dtype))
    found = fit(read_weights(write(torch_file(net.state_dict()))), model="resnet20", dataset="cifar10")
    close(answers(found.model), their_answers(net.float()))


def test_strides_and_shared_storages(write):
    import torch

    base = torch.arange(24.0).reshape(4, 6)
    state = {"a": base.T, "b": base[1:3, ::2], "c": base, "d": torch.nn.Parameter(base[:, 5])}
    found = read_weights(write(torch_file(state))).state
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.detach().numpy())


def test_other_networks_are_refused(write):
    net = resnet20(shortcut="B")
    with pytest.raises(WeightsError, match=r"layer2\.0\.shortcut\.0\.weight.*option A"):
        fit(read_weights(write(torch_file(net.state_dict()))), model="resnet20", dataset="cifar10")
    with pytest.raises(WeightsError, match="which is not data; refused"):
        read_weights(write(torch_file(torch_module())))


def torch_module():
    from torch import nn

    return nn.Linear(2, 2)


def test_akamaster_reads_what_we_write(write, tmp_path):
    import torch

    run = make_run(tmp_path / "run", "resnet20")
    net = resnet20()
    net.load_state_dict(torch.load(write(export_run(run, "torch", names="akamaster")), weights_only=True))
    close(answers(run.load_model(10)), their_answers(net))
