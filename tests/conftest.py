"""What all tests share: how Hypothesis draws its cases.

Everything is repeatable: Hypothesis derives its cases from the test's own source, and a test
that needs NumPy's random numbers writes its seed down, `np.random.default_rng(7)`. Nothing here
seeds NumPy's global state, so no result depends on which tests ran before or on which worker.

`./test --hypothesis-profile=explore` draws new cases, many more of them: a search, not a check.
"""

import gc
import os
import sys

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import HealthCheck, settings

from chainrule import derived

# Every program that is traced for a derivative, and every one derived from it, is validated.
derived.checking = True

# Compiled code is neither taken from the user's cache nor left there.
os.environ["CHAINRULE_CACHE"] = ""

# Tests start some hundred processes, which would compile chainrule's source to bytecode each.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Neither a deadline nor the too_slow check: both depend on how busy the machine is.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("repeatable"), derandomize=False, max_examples=2000
)
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Test files hold no examples: they are not searched for any."""
    return [node for node in (yield) if not isinstance(node, DoctestModule)]


def pytest_collection_finish():
    """The collector need not look at the tests again and again: they are most of the objects."""
    gc.collect()
    gc.freeze()
