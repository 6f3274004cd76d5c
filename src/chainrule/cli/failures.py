"""What ends a command with a message: the user's own mistakes that no error of chainrule names."""

from __future__ import annotations


class Misused(Exception):
    """The command was written wrongly: exit code 2."""


class Failed(Exception):
    """What the command was given is at fault: exit code 1."""
