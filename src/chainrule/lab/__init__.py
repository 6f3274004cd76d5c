"""Experiments on derivatives that anyone can run again: `python -m chainrule.lab`."""
