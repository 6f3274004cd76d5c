"""Real functions from PyPI packages, differentiated as they are; see run.py."""
import os

# On 3 by 3 matrices BLAS threads only wait for each other: on a busy machine scipy.linalg.logm
# took over 20 s. Set before anything imports NumPy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
