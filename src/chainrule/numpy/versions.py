"""Where NumPy's own behaviour depends on its version, chainrule does as the NumPy at hand."""

import numpy as np

# NumPy 2.5: eig and eigvals always give complex results; cross takes vectors of three only; fix is
# deprecated.
FROM_2_5 = np.lib.NumpyVersion(np.__version__) >= "2.5.0"
