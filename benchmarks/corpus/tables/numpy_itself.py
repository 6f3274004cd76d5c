"""NumPy's own functions that are written in Python, and numpy-financial."""
import numpy as np

from ..cases import array, case

X = array(0.31, 1.47, 2.86, 3.05, 4.72)
Y = array(1.13, -0.42, 0.77, 2.31, 1.68)
COEFFICIENTS = array(0.8, -1.3, 0.45, 2.1)
GRID = array([0.4, -1.2, 2.3], [1.7, 0.6, -0.9], [-0.5, 1.1, 0.3])
REGULAR = array([2.1, 0.3, -0.4], [0.7, 1.9, 0.2], [-0.6, 0.5, 2.8])
FLOWS = array(-100.0, 39.0, 59.5, 55.2, 20.1)

CASES = [
    case("numpy", "polyval", COEFFICIENTS, 1.37),
    case("numpy", "polyval", COEFFICIENTS, X, wrt=1),
    case("numpy", "polyfit", X, Y, 2, wrt=1),
    case("numpy", "poly", array(0.5, -1.2, 2.4)),
    case("numpy", "vander", X, 4),
    case("numpy", "trapezoid", Y, X, wrt=1),
    case("numpy", "gradient", Y, X),
    case("numpy", "unwrap", array(0.3, 2.9, -2.8, -0.7, 1.9)),
    case("numpy", "interp", array(0.9, 2.2, 4.1), X, Y),
    case("numpy", "interp", array(0.9, 2.2, 4.1), X, Y, wrt=2),
    case("numpy", "cov", GRID),
    case("numpy", "corrcoef", GRID),
    case("numpy", "average", Y, weights=array(0.2, 0.5, 1.1, 0.7, 0.4)),
    case("numpy", "std", GRID, axis=0),
    case("numpy", "nanmean", GRID, axis=1),
    case("numpy", "median", Y),
    case("numpy", "percentile", Y, 37.0),
    case("numpy", "convolve", Y, array(0.3, 0.9, -0.2)),
    case("numpy", "kron", array([0.4, 1.2], [-0.7, 0.9]), array([2.1, 0.3])),
    case("numpy", "cross", array(0.4, -1.1, 0.8), array(1.3, 0.2, -0.6)),
    case("numpy", "kaiser", 7, 4.3, wrt=1),
    case("numpy", "i0", array(0.7, 2.9, 9.4)),
    case("numpy", "sinc", array(0.35, 1.62, -2.21)),
    case("numpy", "geomspace", 1.3, 47.0, 6),
    case("numpy", "piecewise", X, [X < 2.0, X >= 2.0], [np.cos, np.square]),
    case("numpy", "select", [X < 1.0, X < 3.0], [2 * X, X**2], Y, wrt=2),
    case("numpy", "ediff1d", Y),
    case("numpy", "apply_along_axis", lambda row: row / row.sum(), 1, GRID, wrt=2),
    case("numpy", "fft.rfft", array(0.2, 1.1, -0.7, 0.5, 0.9, -1.3)),
    case("numpy", "linalg.norm", GRID),
    case("numpy", "linalg.norm", GRID, 2, note="spectral"),
    case("numpy", "linalg.cond", REGULAR),
    case("numpy", "linalg.matrix_power", REGULAR, 3),
    case("numpy", "linalg.pinv", array([0.4, -1.2], [1.7, 0.6], [-0.5, 1.1])),
    case("numpy", "linalg.slogdet", REGULAR, pick=1),
    case("numpy.polynomial.polynomial", "polyval2d", array(0.3, 1.2), array(0.8, -0.4), GRID),
    case("numpy.polynomial.polynomial", "polyfromroots", array(0.5, -1.2, 2.4)),
    case("numpy.polynomial.polynomial", "polydiv", COEFFICIENTS, array(0.7, 1.9), pick=0),
    case("numpy.polynomial.chebyshev", "chebval", array(-0.62, 0.13, 0.78), COEFFICIENTS),
    case("numpy.polynomial.chebyshev", "chebder", COEFFICIENTS),
    case("numpy.polynomial.chebyshev", "chebmul", COEFFICIENTS, array(0.7, 1.9, -0.3)),
    case("numpy.polynomial.legendre", "legvander", array(-0.62, 0.13, 0.78), 4),
    case("numpy.polynomial.legendre", "legfit", X, Y, 2, wrt=1),
    case("numpy.polynomial.hermite", "hermval", array(-0.62, 0.13), COEFFICIENTS, wrt=1),
    case("numpy.polynomial.laguerre", "lagint", COEFFICIENTS),
    case("numpy.lib.scimath", "log", array(0.4, 2.7)),
    case("numpy_financial", "fv", 0.0043, 120, -100.0, -1000.0),
    case("numpy_financial", "pmt", 0.0062, 180, 15000.0),
    case("numpy_financial", "ipmt", 0.0062, array(3.0, 17.0), 48, 2500.0),
    case("numpy_financial", "nper", 0.0062, -150.0, 8000.0, wrt=1),
    case("numpy_financial", "npv", 0.084, FLOWS),
    case("numpy_financial", "npv", 0.084, FLOWS, wrt=1),
    case("numpy_financial", "irr", FLOWS),
    case("numpy_financial", "mirr", FLOWS, 0.08, 0.055),
    case("numpy_financial", "rate", 36, -320.0, 9500.0, 0.0, wrt=2),
]
