"""The corpus: one table a subject, together in `CASES`.

How the functions were chosen: by reading what each package offers for floating numbers and taking
a spread of it, not by whether any tool would manage. So there are functions which write in place,
branch on values, call `math`, build lists of floats, validate their input with `np.asarray`, or
call compiled kernels. Points are generic: away from kinks, ties, and the ends of domains.
"""
from . import (
    colour_and_images,
    engineering,
    geometry,
    numpy_itself,
    optimisation,
    physics,
    scipy_functions,
    scipy_statistics,
    statistics,
    sun_and_wind,
)

TABLES = (numpy_itself, scipy_functions, scipy_statistics, statistics, colour_and_images, geometry,
          physics, sun_and_wind, engineering, optimisation)
CASES = [row for table in TABLES for row in table.CASES]
