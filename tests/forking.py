"""Tests that fork. chainrule runs on Windows as well (train/locks.py, train/files.py, and without
helper threads compiler/threads.py), where os.fork does not exist: there is nothing to test there.
"""

import os

import pytest

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no os.fork")
