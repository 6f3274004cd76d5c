"""Preparations: scikit-learn and NumPy by hand as judges, JSON exact both ways, errors by name."""

import json

import numpy as np
from sklearn.preprocessing import StandardScaler

from chainrule.data import Preparation, load


def test_numbers_are_standardised_as_scikit_learn_does():
    table, info = load("breast_cancer")
    preparation = Preparation.fitted(table, target=info["target"])
    raw = np.stack([table[name] for name in preparation.columns], axis=1)
    found = preparation.inputs(table)
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(found, StandardScaler().fit_transform(raw), rtol=1e-5, atol=1e-6)


def test_json_gives_back_exactly_the_same_inputs():
    table, info = load("breast_cancer")
    preparation = Preparation.fitted(table, target=info["target"])
    again = Preparation.from_json(json.loads(json.dumps(preparation.to_json())))
    assert again == preparation
    assert np.array_equal(again.inputs(table), preparation.inputs(table))
