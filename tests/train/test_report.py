"""The report: its figures against scikit-learn and by hand, and a page that runs nothing."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn.metrics

from chainrule import data, nn, train
from chainrule.train.report import charts, html, importance, quality
from chainrule.train.report.axes import Axis

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
    headings = re.findall(r"<h2[^>]*>([^<]*)", page[1])
    assert {
        "Curves", "Beside simpler models", "Classes", "Calibration", "Largest errors",
        "Importance of inputs", "Decisions of the babysitter", "Gradients by layer",
        "Health of layers", "Network", "Data", "Time and memory", "Settings",
    } <= set(headings)  # fmt: skip
    assert "Residuals" not in headings and "the targets are numbers" not in page[1]


def test_of_a_run_without_data_what_is_missing_is_named(run, tmp_path):
    path = train.report.write(run[0], output=tmp_path / "alone.html")
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"<h2[^>]*>([^<]*)", text)
    assert "Curves" in headings and "Calibration" not in headings
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
