"""A fixture of the tests that compare with PyTorch, which they import: one thread."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread():
    """PyTorch's threads spin while they wait for work this small: ten times as slow where cores are shared."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
