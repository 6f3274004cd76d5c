"""What compiled code says of a traced value is said in chainrule's words; other errors are kept."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.signal import find_peaks
from scipy.spatial.distance import directed_hausdorff

import chainrule as cr
from chainrule.errors import NotSupported

X, Y = np.arange(5.0), np.arange(5.0) ** 2


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[find_peaks(x)[0]],
        lambda x: directed_hausdorff(X[:, None], x.reshape(-1, 1))[0],
    ],
)
def test_a_call_of_compiled_code_is_refused_by_name(f):
    with pytest.raises(NotSupported, match="is compiled code, which cannot follow a traced value"):
        cr.vjp(f, np.array([0.5, 1.5, 2.0, 3.0]))


def test_the_message_names_the_call_its_line_and_the_way_out():
    with pytest.raises(NotSupported) as caught:
        cr.grad(lambda x: x[find_peaks(x)[0]].sum())(np.ones(3))
    message = str(caught.value)
    assert message.startswith("_local_maxima_1d is compiled code")
    assert "_peak_finding.py:" in message and "TypeError: a bytes-like object" in message
    assert "np.array(cr.stop_gradient(x).tolist())" in message
    assert isinstance(caught.value.__cause__, TypeError)


def test_the_way_out_works():
    def constant(x):
        return CubicSpline(X, Y)(np.array(cr.stop_gradient(x).tolist())) * x

    assert cr.grad(constant)(2.0) == 4.0


@pytest.mark.parametrize(
    "f, kind",
    [
        (lambda x: int("seven"), ValueError),
        (lambda x: len(3), TypeError),
        (lambda x: np.linalg.cholesky(-np.eye(2)) * x, np.linalg.LinAlgError),
        (lambda x: ndimage.shift(X, "wrong") * x, Exception),
        (lambda x: x.missing, AttributeError),
        (lambda x: x(1), TypeError),
        (lambda x: (lambda a, b: a)(x), TypeError),
    ],
)
def test_other_errors_are_kept(f, kind):
    with pytest.raises(kind) as caught:
        cr.grad(f)(2.0)
    assert "compiled code" not in str(caught.value)


def test_array_api_code_that_sees_two_namespaces_is_told_how_to_have_one():
    def mixed(x):
        raise TypeError("Multiple namespaces for array inputs: [chainrule.numpy, numpy]")

    with pytest.raises(NotSupported, match=r"cr.numpy.asarray\(y\)"):
        cr.grad(mixed)(2.0)
