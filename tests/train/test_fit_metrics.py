"""Metrics are scikit-learn's; early stopping survives a noisy curve."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.metrics as judge
from scipy.special import expit, softmax

from chainrule import errors, nn, random
from chainrule.train import fit
from chainrule.train.early_stopping import EarlyStopping, early_stopping
from chainrule.train.metrics import METRICS, direction, named, r2, rmse, top

CLASSES = 4


def scored(seed, classes=CLASSES, ties=False):
    rng = random.Generator(seed)
    scores = rng.normal(size=(60, classes))
    if ties:
        scores = np.round(scores)
    return scores.astype("f"), rng.integers(classes, size=60), rng.random(60)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed, ties", [(0, False), (1, True)])
def test_metrics_of_classes_are_scikit_learns(seed, ties, weighted):
    f, y, w = scored(seed, ties=ties)
    w = w if weighted else None
    shares, guess = softmax(f.astype(float), axis=1), f.argmax(axis=1)
    wanted = {
        "accuracy": judge.accuracy_score(y, guess, sample_weight=w),
        "error": judge.zero_one_loss(y, guess, sample_weight=w),
        "f1": judge.f1_score(y, guess, average="macro", sample_weight=w),
        "log_loss": judge.log_loss(y, shares, sample_weight=w),
        "perplexity": np.exp(judge.log_loss(y, shares, sample_weight=w)),
        "auc": judge.roc_auc_score(y, shares, multi_class="ovr", sample_weight=w),
    }
    if w is not None:  # scikit-learn takes no weights here: one class against the rest, by hand
        each = [judge.roc_auc_score(y == k, shares[:, k], sample_weight=w) for k in range(CLASSES)]
        wanted["auc"] = np.mean(each)
    for name, value in wanted.items():
        assert METRICS[name].value(f, y, w) == pytest.approx(value, rel=1e-10), name


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_labels_are_scikit_learns(weighted, low):
    f, _, w = scored(5)
    held = f + random.Generator(6).normal(size=f.shape) > 0.3
    y, w, guess = np.where(held, 1, low), w if weighted else None, f > 0
    each = [judge.log_loss(held[:, k], expit(f[:, k].astype(float)), sample_weight=w)
            for k in range(CLASSES)]  # fmt: skip
    wanted = {
        "exact_match": judge.accuracy_score(held, guess, sample_weight=w),
        "hamming_loss": judge.hamming_loss(held, guess, sample_weight=w),
        "label_f1": judge.f1_score(held, guess, average="macro", sample_weight=w),
        "label_auc": judge.roc_auc_score(held, f, average="macro", sample_weight=w),
        "label_log_loss": np.mean(each),
    }
    for name, value in wanted.items():
        assert METRICS[name].value(f, y, w) == pytest.approx(value, rel=1e-10), name
    assert direction("validation_exact_match") == "max" and direction("hamming_loss") == "min"


def test_metrics_of_classes_and_of_labels_refuse_each_others_targets():
    f, y, _ = scored(5)
    with pytest.raises(errors.ShapeError, match=r"the targets are \(60, 4\): .* hamming_loss"):
        METRICS["accuracy"].value(f, np.sign(f))
    with pytest.raises(errors.ShapeError, match=r"got \(60, 4\) and \(60,\)"):
        METRICS["exact_match"].value(f, y)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_is_scikit_learns(k):
    f, y, w = scored(2)
    wanted = judge.top_k_accuracy_score(y, f, k=k, sample_weight=w)
    assert top(k)(f, y, w) == pytest.approx(wanted, rel=1e-10)
    assert list(named(top(k))) == [f"top_{k}"]


@pytest.mark.parametrize("low", [0, -1])
def test_one_score_a_row_stands_for_two_classes(low):
    f, y, w = scored(3, classes=2)
    f = f[:, 0]
    signs = np.where(y == 1, 1, low)
    for outputs in (f, f[:, None]):
        assert METRICS["auc"].value(outputs, signs, w) == pytest.approx(
            judge.roc_auc_score(y, f, sample_weight=w), rel=1e-10
        )
        assert METRICS["accuracy"].value(outputs, signs) == np.mean((f > 0) == (y == 1))
        assert METRICS["log_loss"].value(outputs, signs) == pytest.approx(
            judge.log_loss(y, expit(f.astype(float))), rel=1e-6
        )


@pytest.mark.parametrize("outputs", [1, 3])
def test_metrics_of_numbers_are_scikit_learns(outputs):
    rng = random.Generator(4)
    f, y, w = rng.normal(size=(40, outputs)), rng.normal(size=(40, outputs)), rng.random(40)
    for weights in (None, w):
        assert METRICS["r2"].value(f, y, weights) == pytest.approx(
            judge.r2_score(y, f, sample_weight=weights), rel=1e-10
        )
        assert METRICS["rmse"].value(f, y, weights) ** 2 == pytest.approx(
            judge.mean_squared_error(y, f, sample_weight=weights), rel=1e-10
        )
        assert METRICS["mae"].value(f, y, weights) == pytest.approx(
            judge.mean_absolute_error(y, f, sample_weight=weights), rel=1e-10
        )


def test_an_area_without_one_of_the_classes_is_nan():
    assert np.isnan(METRICS["auc"].value(np.zeros((3, 2)), np.zeros(3, int)))


def test_the_best_value_is_the_largest_or_the_least():
    assert direction("validation_accuracy") == "max"
    assert direction("validation_loss") == direction("rmse") == "min"
    assert direction("mine", "max") == "max"


def test_unknown_metrics_name_the_known_ones():
    with pytest.raises(ValueError, match="accuracy.*rmse.*got 'acuracy'"):
        named(["acuracy"])


# --- early stopping -------------------------------------------------------------------------------


def noisy_curve():
    """The course's: it falls, rises for a while from epoch 40 on, falls again to its least at epoch
    160, and rises. "Hopefully you don't stop here" stands at epoch 40."""
    epochs = np.arange(300.0)
    trend = np.interp(epochs, [0, 40, 60, 160, 300], [1.0, 0.6, 0.66, 0.3, 0.6])
    return trend + 0.03 * random.Generator(5).normal(size=300)


def stopped_at(stop, curve):
    for epoch, value in enumerate(curve):
        if stop.seen(float(value), "min"):
            return epoch
    return len(curve)


def test_smoothing_and_patience_survive_the_noisy_curve():
    curve = noisy_curve()
    assert stopped_at(EarlyStopping(patience=3, smoothing=0.0), curve) < 60  # here, hopefully not
    found = stopped_at(EarlyStopping(patience=40, smoothing=0.8), curve)
    assert 160 <= found <= 220 and abs(int(np.argmin(curve[: found + 1])) - 160) < 15


def test_the_smoothed_curve_is_corrected_for_its_start():
    stop = EarlyStopping(smoothing=0.9)
    stop.seen(2.0, "min")
    assert stop.least == pytest.approx(2.0)
    stop.seen(1.0, "min")
    assert stop.least == pytest.approx((0.9 * 2.0 + 1.0) / 1.9)


def test_small_gains_and_nans_do_not_count():
    assert stopped_at(EarlyStopping(2, 0.0, min_delta=0.1), [1.0, 0.95, 0.92, 0.5]) == 2
    assert stopped_at(EarlyStopping(2, 0.0), [1.0, np.nan, np.nan, 0.5]) == 2
    assert stopped_at(EarlyStopping(1, 0.0), [0.5, 0.5]) == 1


def test_accuracies_stop_the_other_way_round():
    stop = EarlyStopping(patience=1, smoothing=0.0)
    assert [stop.seen(v, "max") for v in (0.5, 0.6, 0.55)] == [False, False, True]


def test_what_early_stopping_is_given():
    assert early_stopping(None) is None and early_stopping(False) is None
    assert early_stopping(True) == EarlyStopping() and early_stopping(7).patience == 7
    assert early_stopping({"patience": 3, "smoothing": 0.5}).smoothing == 0.5
    used = EarlyStopping(patience=3)
    used.seen(1.0, "min")
    assert early_stopping(used) == EarlyStopping(patience=3)
    for wrong, message in (
        ({"patiense": 3}, "patience, smoothing"), (0, "from 1"), ("x", "got 'x'"),
        ({"smoothing": 1.0}, "below 1"), ({"mode": "up"}, "auto"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            early_stopping(wrong)


def test_stopping_by_what_is_nan_says_so():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("f")
    y = (x[:, 0] > 0).astype(int)
    alone = x[y == 0], y[y == 0]  # the area under a curve of one class is nan
    history = fit(
        nn.MLP(3, (4,), 2, rng=0), (x, y), loss="softmax_cross_entropy", validation=alone,
        metrics=("auc",), early_stopping={"monitor": "validation_auc", "patience": 3},
        progress="none", epochs=20,
    )  # fmt: skip
    assert len(history.records) == 3
    assert "validation_auc was a finite number in none of the 3 epochs" in history.stopped
    stop = EarlyStopping(patience=2, smoothing=0.0)
    assert [stop.seen(value, "min") for value in (1.0, np.nan, np.nan)] == [False, False, True]
    assert "was not a finite number in the last 2 epochs" in stop.reason()
    assert EarlyStopping(**stop.state()) == stop


def test_r2_of_a_constant_target_is_nan_and_large_numbers_do_not_overflow():
    y = np.array([[1.0], [2.0], [4.0]])
    assert np.isnan(r2(y, np.full((3, 1), 2.0)))
    assert r2(1e200 * y[::-1], 1e200 * y) == pytest.approx(1 - 18 / (42 / 9))
    assert rmse(1e200 * y[::-1], 1e200 * y) == pytest.approx(6**0.5 * 1e200)
    assert rmse(y, y) == 0.0


@pytest.mark.parametrize("wrong", [{"memory": "3XB"}, {"kinks": "sharp"}])
def test_options_of_derivatives_are_checked_before_a_run_is_written(tmp_path, wrong):
    data = np.ones((4, 2), np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))} is "):
        fit(nn.MLP(2, (), 1), data, loss="squared", run=tmp_path / "run", progress="none", **wrong)
    assert not (tmp_path / "run").exists()


def test_training_loads_no_statistics_of_scipy():
    code = "import sys, chainrule.cli.fit, chainrule.train; sys.exit('scipy.stats' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
