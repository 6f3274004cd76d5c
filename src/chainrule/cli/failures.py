"""What ends a command with a message: the user's own mistakes that no error of chainrule names."""

from __future__ import annotations

import re

# Options as errors of `data.read` name them to Python, and as they are written on the line.
_SPELLINGS = (
    (r"types=\{'([^']*)': '(\w+)'\}", r"--type '\1=\2'"),
    (r"ignore=\['([^']*)'\]", r"--ignore '\1'"),
    (r"size=\((\d+), (\d+)\)", r"--resize \1x\2"),
    (r"dates=\{'?([^':]*)'?: '([^']*)'\}", r"--date '\1=\2'"),
    (r"missing=\[\*data\.MISSING, ('[^']*'|\"[^\"]*\")\]", r"--missing \1"),
    (r"\bsize= is for", "--resize is for"),
    (r"\b(missing|delimiter|decimal|thousands|encoding|channels)= is for", r"--\1 is for"),
    (r"\bheader= is for", "--no-header is for"),
    (r"\bheader=False", "--no-header"),
    (r"\b(decimal|thousands|delimiter|encoding)=('[^']*')", r"--\1 \2"),
)


def for_the_line(message: str) -> str:
    """An error's message with the options spelled as they are on the line.

    >>> for_the_line("Read with decimal=','; or with types={'zip': 'text'}.")
    "Read with --decimal ','; or with --type 'zip=text'."
    """
    for python, line in _SPELLINGS:
        message = re.sub(python, line, message)
    return message


class Misused(Exception):
    """The command was written wrongly: exit code 2."""


class Failed(Exception):
    """What the command was given is at fault: exit code 1."""
