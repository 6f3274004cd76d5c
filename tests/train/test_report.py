"""The report: its figures against scikit-learn and by hand, and a page that runs nothing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics

from chainrule import data, nn, train
from chainrule.train.report import baselines, charts, html, importance, quality
from chainrule.train.report.axes import Axis
from chainrule.train.report.subject import Subject
from chainrule.train.report.writing import text as report_text

BAD = "<script>alert('1')</script> & \"more\""


class Page(HTMLParser):
    """The tags of a page, each closed, with their attributes; and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.words.append(text)


@pytest.fixture(scope="module")
def flowers():
    """Rows of three classes, one of them named like a script, and a column named like one."""
    rng = np.random.default_rng(0)
    kinds = np.array(["a", BAD, "c"], object)
    classes = rng.integers(0, 3, 160)
    columns = {
        BAD: classes + 0.4 * rng.standard_normal(160),
        "colour": np.array(["red", "green"], object)[rng.integers(0, 2, 160)],
        "kind": kinds[classes],
    }
    return data.Table.of(columns, source=BAD)


@pytest.fixture(scope="module")
def run(tmp_path_factory, flowers):
    """A short training on the first 120 rows, and what a report of it is given."""
    folder = tmp_path_factory.mktemp("report") / "run"
    preparation = data.Preparation.fitted(flowers[:120], target="kind")
    rows = {"training": np.arange(120), "test": np.arange(120, 160)}
    parts = {name: data.Arrays(preparation.inputs(flowers[r]), preparation.targets(flowers[r]))
             for name, r in rows.items()}  # fmt: skip
    model = nn.MLP(preparation.shape[0], (8,), 3, rng=0)
    train.fit(
        model, parts["training"], loss="softmax_cross_entropy", validation=0.2, epochs=12,
        metrics=["accuracy"], step_size=0.02, run=folder, progress="none",
    )  # fmt: skip
    return folder, {**parts, "preparation": preparation, "table": flowers, "rows": rows}


@pytest.fixture(scope="module")
def page(run):
    folder, given = run
    text = train.report.write(folder, **given).read_text(encoding="utf-8")
    return Page(text), text


def test_a_report_runs_no_script_and_fetches_nothing(page):
    parsed, text = page
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in parsed.tags}
    for _, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on")]
        address = attributes.get("src") or attributes.get("href") or ""
        assert not address or address.startswith(("#", "data:image/png;base64,"))
    assert "url(" not in text and "@import" not in text
    assert len(text) < 1_000_000


def test_what_comes_from_data_is_shown_as_text(page):
    parsed, text = page
    assert BAD not in text
    assert BAD in " ".join(parsed.words)


def test_a_report_has_every_part_that_the_run_knows(page):
    found = headings(page[1])
    assert {
        "Curves", "Beside simpler models", "Classes", "Calibration", "Largest errors",
        "Importance of inputs", "Decisions of the babysitter", "Gradients by layer",
        "Health of layers", "Network", "Data", "Time and memory", "Settings",
    } <= set(found)  # fmt: skip
    assert "Residuals" not in found and "the targets are numbers" not in page[1]


def test_of_a_run_without_data_what_is_missing_is_named(run, tmp_path):
    path = train.report.write(run[0], output=tmp_path / "alone.html")
    text = path.read_text(encoding="utf-8")
    assert "Curves" in headings(text) and "Calibration" not in headings(text)
    left_out = text[text.index("Left out</h2>") :]
    assert "Calibration" in left_out and "no rows were kept for a test" in left_out


def test_a_run_notes_each_layers_gradients_health_and_the_memory(run):
    opened = train.Run.open(run[0])
    noted = [line for line in opened.metrics() if "gradient_norm/layers[0].weight" in line]
    assert len(noted) == 12  # one an epoch
    for line in noted:
        norms = [v for name, v in line.items() if name.startswith("gradient_norm/")]
        assert 0 < max(norms) <= np.linalg.norm(norms) <= 1.001 * line["gradient_norm"]
        assert line["update_ratio/layers[0].weight"] > 0
    looks = [event for event in opened.events() if event["event"] == "health"]
    assert [look["epoch"] for look in looks] == [0, 1, 2, 3, 10]
    assert {layer["kind"] for layer in looks[0]["layers"]} == {"input", "Linear", "Activation"}
    assert opened.events()[-1]["peak_memory"] > 10_000_000


def test_confusion_precision_and_recall_are_scikit_learns():
    rng = np.random.default_rng(1)
    true, said = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    counts = quality.confusion(true, said, 4)
    np.testing.assert_array_equal(counts, sklearn.metrics.confusion_matrix(true, said))
    rows = list(quality.by_class(counts, list("abcd")))
    expected = sklearn.metrics.precision_recall_fscore_support(true, said)
    for k, (label, count, *shares) in enumerate(rows):
        assert (label, count) == ("abcd"[k], expected[3][k])
        assert shares == [html.percent(expected[m][k]) for m in range(3)]


def test_simpler_models_are_scikit_learns_on_the_same_rows(run):
    given = run[1]
    subject = Subject(train.Run.open(run[0]), given["test"], given["training"],
                      preparation=given["preparation"])  # fmt: skip
    rows, notes = baselines.compared(subject)
    assert [row[0] for row in rows] == [
        "the most frequent class", "logistic regression", "boosted trees"
    ]  # fmt: skip
    assert not notes
    x, y = given["training"].inputs, given["training"].targets
    model = sklearn.linear_model.LogisticRegression(max_iter=100).fit(x, y)
    shares, truth = model.predict_proba(given["test"].inputs), given["test"].targets
    assert rows[1][1] == html.percent(np.mean(shares.argmax(axis=1) == truth))
    assert rows[1][4] == pytest.approx(sklearn.metrics.log_loss(truth, shares), rel=1e-6)
    assert rows[0][1] == html.percent(np.mean(truth == np.bincount(y).argmax()))


def test_of_a_regression_the_mean_and_ridge_regression_stand_beside_it(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((60, 2)).astype(np.float32)
    y = (x @ np.array([[1.0, 0.0], [2.0, -1.0]])).astype(np.float32)
    subject = bare(tmp_path, nn.Linear(2, 2, rng=0), (x[:40], y[:40]), (x[40:], y[40:]))
    rows, _ = baselines.compared(subject)
    expected = sklearn.linear_model.Ridge().fit(x[:40], y[:40]).predict(x[40:])
    assert [row[0] for row in rows] == ["the mean", "ridge regression", "boosted trees"]
    assert rows[0][1] == pytest.approx(np.sqrt(np.mean((y[40:] - y[:40].mean(axis=0)) ** 2)))
    assert rows[1][1] == pytest.approx(np.sqrt(np.mean((y[40:] - expected) ** 2)), rel=1e-4)


def bare(folder, model, training, test, loss="squared") -> Subject:
    """A run without a training, of which its data are known."""
    train.Run.create(folder / "run", {"fit": {"loss_name": loss}}).close()
    return Subject(train.Run.open(folder / "run"), data.arrays(test), data.arrays(training),
                   network=model)  # fmt: skip


def headings(text: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)", text)


def test_outputs_that_are_not_finite_are_a_reason_to_leave_parts_out(tmp_path):
    model = nn.Linear(2, 3, rng=0)
    model.weight[...] = np.nan
    rows = np.ones((9, 2), np.float32), np.arange(9) % 3
    text = report_text(bare(tmp_path, model, rows, rows, "softmax_cross_entropy"))
    assert "what the network gives for 9 of 9 rows is not finite" in text
    assert "Data" in headings(text) and "Calibration" not in headings(text)


def test_scores_of_a_hinge_loss_are_not_taken_for_probabilities(tmp_path):
    x = np.linspace(-1, 1, 12, dtype=np.float32)[:, None]
    rows = x, np.where(x[:, 0] > 0, 1, -1)
    text = report_text(bare(tmp_path, nn.Linear(1, 1, rng=0), rows, rows, "hinge"))
    assert "Classes" in headings(text) and "Calibration" not in headings(text)
    assert "the loss &#x27;hinge&#x27; makes scores, not probabilities" in text


def test_data_that_scikit_learn_refuses_leave_only_that_model_out(tmp_path):
    rows = np.ones((8, 2), np.float32), np.zeros(8, np.int64)
    subject = bare(tmp_path, nn.Linear(2, 3, rng=0), rows, rows, "softmax_cross_entropy")
    rows, notes = baselines.compared(subject)
    assert [row[0] for row in rows] == ["the most frequent class"]
    assert notes[0].startswith("Left out: logistic regression (This solver needs")
    assert notes[1].startswith("Left out: boosted trees")


def test_trees_of_wide_data_grow_on_principal_components(tmp_path):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((80, 70)).astype(np.float32)
    x[:, :3] *= 20
    y = (x[:, 0] > 0).astype(np.int64)
    subject = bare(tmp_path, nn.Linear(70, 2, rng=0), (x[:60], y[:60]), (x[60:], y[60:]),
                   "softmax_cross_entropy")  # fmt: skip
    few, held = baselines.narrow(subject.learned(), subject, 2)
    assert few.inputs.shape == (60, 60) and held.shape == (20, 60)
    gram = (x[:60] - x[:60].mean(axis=0)) @ (x[:60] - x[:60].mean(axis=0)).T
    np.testing.assert_allclose(few.inputs @ few.inputs.T, gram, rtol=1e-3, atol=1e-2)


def test_where_all_guesses_are_right_there_are_no_errors_to_list(tmp_path):
    x = np.array([[-1.0], [1.0]], np.float32)
    model = nn.Linear(1, 1, rng=0)
    model.weight[...] = 1
    rows = x, np.array([0, 1])
    assert "No row is guessed wrong." in report_text(bare(tmp_path, model, rows, rows, "logistic"))


def test_an_image_is_important_where_its_pixels_are_looked_at(tmp_path):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((64, 12, 6, 1)).astype(np.float32)
    linear = nn.Linear(72, 1, rng=0)
    linear.weight[...] = 0
    linear.weight[7 * 6 + 2] = 1
    model = nn.Sequential(nn.Flatten(), linear)
    y = train.predict(model, x)
    found = importance.permuted(model, x, importance.patches(x.shape[1:]),
                                lambda outputs: float(np.mean((outputs - y) ** 2)))  # fmt: skip
    assert len(found) == 60
    assert [name for name, (mean, _) in found.items() if mean > 0] == ["7,2"]
    assert "data:image/png;base64," in report_text(bare(tmp_path, model, (x, y), (x, y)))


def test_the_page_of_a_deep_network_and_of_long_texts_stays_small(tmp_path):
    names = [f"gradient_norm/layers[{k}].weight" for k in range(200)]
    with train.Run.create(tmp_path / "run", {"note": "x" * 200_000}) as made:
        made.log("babysitter", step=1, epoch=1, action="continue", reason="y" * 100_000)
    values = {name: 1.0 for name in names}
    lines = [json.dumps({"time": 0, "step": k, "loss": k % 7, **values}) for k in range(1, 1001)]
    (tmp_path / "run" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    page = train.report.write(tmp_path / "run").read_text(encoding="utf-8")
    assert "60 of 200" in page and len(page) < 1_000_000


def test_the_curve_of_a_run_that_notes_epochs_only_is_that_of_its_history(tmp_path):
    with train.Run.create(tmp_path / "run", {}) as made:
        made.scalars(3, seconds=0.1)
        made.finish({"history": {"records": [{"epoch": 1, "step": 3, "loss": 0.5}],
                                 "decisions": [], "stopped": "1 epochs made"}})  # fmt: skip
    assert Subject(made).curve("loss") == ([3], [0.5])


def test_an_interrupted_run_has_a_report_of_how_far_it_is(tmp_path):
    with train.Run.create(tmp_path / "run", {"fit": {"babysitter": "advise"}}) as made:
        made.scalars(1, loss=float("nan"))
        made.scalars(2, loss=0.5, gradient_norm=float("inf"))
        for _ in range(2):  # the second time after a resume
            made.log("babysitter", step=2, epoch=1, action="continue", reason="a < b")
    text = train.report.write(tmp_path / "run").read_text(encoding="utf-8")
    assert "It has not ended" in text and text.count("a &lt; b") == 1


def test_the_calibration_error_is_that_of_its_definition():
    shares = np.array([[0.95, 0.05], [0.85, 0.15], [0.9, 0.1], [0.35, 0.65]])
    _, right, mean, rows = quality.reliability(shares, np.array([0, 1, 0, 1]))
    assert rows.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 1, 2]
    # (1 |1 - 0.65| + 1 |0 - 0.85| + 2 |1 - 0.925|) / 4
    assert quality.calibration_error(right, mean, rows) == pytest.approx(1.35 / 4)


def test_importance_of_a_linear_function_is_twice_its_squared_weights():
    """E (w x' - w x)^2 = 2 w^2 var(x) where x' is x shuffled, columns being independent."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((4000, 3)).astype(np.float32)
    model = nn.Linear(3, 1, rng=0)
    model.weight[...] = np.array([[2.0], [0.5], [0.0]])
    target = train.predict(model, x)
    found = importance.permuted(
        model, x, {"a": np.array([0]), "b": np.array([1]), "c": np.array([2])},
        lambda outputs: float(np.mean((outputs - target) ** 2)),
    )  # fmt: skip
    assert found["a"][0] == pytest.approx(8.0, rel=0.05)
    assert found["b"][0] == pytest.approx(0.5, rel=0.05)
    assert found["c"] == (0.0, 0.0)


def test_long_curves_keep_their_peaks():
    values = np.zeros(100_000)
    values[54_321], values[70_001] = 9.0, np.nan
    xs, ys = charts.thinned(np.arange(100_000), values)
    assert len(xs) <= charts.POINTS and 54_321 in xs and ys.max() == 9.0


def test_axes_hold_what_is_not_finite_huge_or_constant():
    for values in ([np.nan, np.inf], [1e308, -1e308], [3.0], [], [1e-300, 1e300]):
        axis = Axis.over(values)
        assert axis.low < axis.high and all(np.isfinite(axis.ticks)) and len(axis.ticks) < 20
        assert np.isnan(axis.share([np.nan, np.inf])).all()
