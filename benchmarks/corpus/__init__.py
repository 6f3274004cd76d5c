"""Real functions from PyPI packages, differentiated as they are; see run.py."""
