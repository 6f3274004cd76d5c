"""Questions that SciPy's own code asks of arrays, answered for traced values."""

from chainrule.numpy.undispatched import replaces


@replaces("scipy._lib._util", "_prune_array")
def _whole(array):
    """A traced value is no view of a larger array."""
    return array


@replaces("scipy._lib.array_api_compat.common._helpers")
def is_writeable_array(x) -> bool:
    """Whether an array may be written to, or is copied first: as a traced scalar is."""
    return x.flags.writeable
