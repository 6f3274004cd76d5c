"""Networks with scikit-learn's interface: for pipelines, grid searches, and everything beside.

>>> from sklearn.datasets import load_iris
>>> from chainrule.estimators import DeepClassifier
>>> x, y = load_iris(return_X_y=True)
>>> model = DeepClassifier(hidden=(16,), epochs=30, step_size=0.02, random_state=0).fit(x, y)
>>> bool(model.score(x, y) > 0.9), model.predict_proba(x[:2]).shape
(True, (2, 3))
"""

from chainrule import extras

extras.load("sklearn.base", "sklearn", "Estimators")  # before what imports scikit-learn itself

from chainrule.estimators.autoencoder import Autoencoder  # noqa: E402
from chainrule.estimators.classifier import DeepClassifier  # noqa: E402
from chainrule.estimators.files import load  # noqa: E402
from chainrule.estimators.regressor import DeepRegressor  # noqa: E402

__all__ = ["Autoencoder", "DeepClassifier", "DeepRegressor", "load"]
