"""The corpus: one table a subject, together in `CASES`.

How the functions were chosen: by reading what each package offers for floating numbers and taking
a spread of it, not by whether any tool would manage. So there are functions which write in place,
branch on values, call `math`, build lists of floats, validate their input with `np.asarray`, or
call compiled kernels. Points are generic: away from kinks, ties, and the ends of domains.
"""
from . import colour_and_images, engineering, geometry, numpy_itself, physics
from . import scipy_functions, scipy_statistics, statistics, sun_and_wind, test_functions

CASES = [
    *numpy_itself.CASES, *scipy_functions.CASES, *scipy_statistics.CASES, *statistics.CASES,
    *colour_and_images.CASES, *geometry.CASES, *physics.CASES, *sun_and_wind.CASES,
    *engineering.CASES, *test_functions.CASES,
]
