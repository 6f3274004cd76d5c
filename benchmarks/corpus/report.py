"""Prints the rows of a run and their summary, and writes results.json and results.md."""
import json
import re
from collections import Counter
from importlib.metadata import PackageNotFoundError, version

VERDICTS = ("right", "wrong", "refused", "crashed")
MODES = ("reverse", "forward")


def print_row(row):
    """Prints one line: the case, its reference, each tool's reverse and forward verdict."""
    if row["reference"] == "not measurable":
        print(f"{row['case']:<72} not measurable: {row['reason']}", flush=True)
        return
    cells = [f"{name} {_cell(judged)}" for name, judged in row["tools"].items()]
    print(f"{row['case']:<72} {row['reference']:<12}  {'  '.join(cells)}", flush=True)


def print_summary(rows):
    """Prints the counts, and each tool's failures by reason."""
    print("\n" + "\n".join(_counts(rows)))
    for name in _tools(rows):
        print(f"\n{name}: what it did not get right, by reason (reverse mode)")
        for (verdict, reason), titles in reasons(rows, name):
            print(f"  {len(titles):3d}  {verdict:<8} {reason}")


def write_results(rows, folder):
    """Writes results.json, a row a line, and results.md, the tables, into the folder.

    In results.json a tool's "forward" is left out where it says the same as its "reverse".
    """
    body = ",\n".join(json.dumps(_short(row)) for row in rows)
    versions = json.dumps(_versions(rows))
    (folder / "results.json").write_text(f'{{"versions": {versions},\n"rows": [\n{body}\n]}}\n')
    lines = ["# The corpus: real functions, differentiated as they are", "",
             "Written by `run.py`, which also says what the verdicts mean.", "", "## Counts", "",
             *_counts(rows), "", "## By package", "", *_packages(rows)]
    for name in _tools(rows):
        lines += ["", f"## {name}: what it did not get right, by reason (reverse mode)", "",
                  "| cases | verdict | reason | for example |", "|---:|---|---|---|"]
        lines += [f"| {len(titles)} | {verdict} | {_escaped(reason)} | `{titles[0]}` |"
                  for (verdict, reason), titles in reasons(rows, name)]
    lines += ["", "## Every case", "", "Verdicts are reverse mode / forward mode; one word where "
              "both agree.", "", *_every_case(rows)]
    (folder / "results.md").write_text("\n".join(lines) + "\n")


def reasons(rows, name) -> list:
    """Returns ((verdict, reason), case titles) of a tool's failures, the most common first."""
    groups = {}
    for row in _measured(rows):
        judged = row["tools"][name]["reverse"]
        if judged["verdict"] == "right":
            continue
        reason = judged.get("error", "")
        message = judged["message"].partition(":")[0] if not reason else judged["message"]
        # Lines, shapes and numbers out, so that the same cause in two places is one group.
        message = re.sub(r",? at \S+\.py:\d+.*|\w*\[[\d, ]*\]", "", message)
        message = re.sub(r"\b(0x\w+|\d[\d.,e+-]*)", "#", message)[:110]
        reason = f"{reason}: {message}" if reason else message
        groups.setdefault((judged["verdict"], reason), []).append(row["case"])
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def _short(row):
    tools = {name: {mode: judged[mode] for mode in MODES
                    if mode == "reverse" or judged[mode] != judged["reverse"]}
             for name, judged in row["tools"].items()}
    return row | {"tools": tools}


def _measured(rows):
    return [row for row in rows if row["reference"] != "not measurable"]


def _tools(rows):
    return list(next((row["tools"] for row in _measured(rows)), {}))


def _cell(judged):
    pair = [judged[mode]["verdict"] for mode in MODES]
    return pair[0] if pair[0] == pair[1] else "/".join(pair)


def _counts(rows):
    measured = _measured(rows)
    lines = [f"{len(rows)} cases from {len({row['package'] for row in rows})} packages, "
             f"{len(measured)} measurable.", "",
             "| tool | mode | " + " | ".join(VERDICTS) + " |",
             "|---|---|" + "---:|" * len(VERDICTS)]
    for name in _tools(rows):
        for mode in MODES:
            found = Counter(row["tools"][name][mode]["verdict"] for row in measured)
            cells = " | ".join(str(found[verdict]) for verdict in VERDICTS)
            lines.append(f"| {name} | {mode} | {cells} |")
    return lines


def _packages(rows):
    tools = _tools(rows)
    versions = _versions(rows)
    lines = ["Right in reverse mode, of the measurable cases.", "",
             "| package | version | cases | " + " | ".join(tools) + " |",
             "|---|---|---:|" + "---:|" * len(tools)]
    for package in sorted(versions, key=str.lower):
        mine = [row for row in _measured(rows) if row["package"] == package]
        cells = [str(sum(row["tools"][name]["reverse"]["verdict"] == "right" for row in mine))
                 for name in tools]
        lines.append(f"| {package} | {versions[package]} | {len(mine)} | {' | '.join(cells)} |")
    return lines


def _every_case(rows):
    tools = _tools(rows)
    lines = ["| case | reference | " + " | ".join(tools) + " |", "|---|---|" + "---|" * len(tools)]
    for row in rows:
        cells = [_cell(row["tools"][name]) if row["tools"] else "" for name in tools]
        shown = row["reference"] + (f": {_escaped(row['reason'])}" if "reason" in row else "")
        lines.append(f"| `{row['case']}` | {shown} | {' | '.join(cells)} |")
    return lines


def _versions(rows):
    return {package: _version(package) for package in sorted({row["package"] for row in rows})}


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _escaped(text):
    return text.replace("|", "\\|").replace("<", "&lt;")
