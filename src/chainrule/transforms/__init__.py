"""Transformations: each file one function from programs to programs."""
