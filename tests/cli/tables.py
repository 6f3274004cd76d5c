"""Tables for the command line, written as files."""

import csv


def write(path, rows: list[dict]) -> str:
    """The path of a CSV file of these rows."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return str(path)
