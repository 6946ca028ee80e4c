"""The writer of small data sets in the official formats, which other tests rely on."""

import pickle
import warnings

import numpy as np
import pytest
from cifar_files import PYTHON_10, PYTHON_100, batch, py2_pickle


@pytest.mark.parametrize("form", [PYTHON_10, PYTHON_100])
def test_the_py2_pickles_mean_to_python_what_they_should(form):
    content = batch(form, form.train[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2 on the name numpy.core
        found = pickle.loads(py2_pickle(content), encoding="bytes")
    assert found.keys() == content.keys()
    for key, value in content.items():
        np.testing.assert_array_equal(found[key], value)
