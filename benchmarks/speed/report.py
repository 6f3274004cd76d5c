"""The results as a page of Markdown, and as JSON."""

from __future__ import annotations

import json
from importlib.metadata import version
from math import exp, log
from pathlib import Path

from benchmarks.speed import peers
from benchmarks.speed.contender import OURS
from benchmarks.speed.figures import Row

RESULTS = Path(__file__).parents[1] / "results"


def write(rows: list[Row], machine: dict, limits: dict, command: str, folder=RESULTS) -> None:
    """Write speed.md and speed.json into the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "speed.md").write_text(page(rows, machine, limits, command))
    found = {
        "command": command, "machine": machine, "versions": versions(),
        "limits": {str(k): v for k, v in limits.items()},
        "rows": [as_dict(row) for row in rows],
    }  # fmt: skip
    (folder / "speed.json").write_text(json.dumps(found, indent=1) + "\n")


def versions() -> dict[str, str]:
    found = {p: peers.installed(p) for p in dict.fromkeys(peers.PACKAGES.values())}
    return {p: v for p, v in found.items() if v} | {"llvmlite": version("llvmlite")}


def as_dict(row: Row) -> dict:
    own, peer = row.ours, row.peer
    return {
        "row": row.title, "workload": row.workload.name, "sizes": row.sizes,
        "threads": row.threads, "ours": own and own[0], "best_peer": peer and peer[0],
        "ratio": row.ratio, "flops": row.flops, "roofline": row.roofline,
        "share_of_ceiling": own and row.share(own[1], "ceiling"),
        "share_of_bandwidth": own and row.share(own[1], "bandwidth"), "level": row.level,
        "share_of_roofline": own and row.share(own[1]), "objectives": row.evaluations,
        "missed": row.missed(),
        "contenders": {name: result.as_dict() for name, result in row.results.items()},
    }  # fmt: skip


def geometric_mean(rows: list[Row]) -> float | None:
    """Of the ratios to the best peers, over the rows that have one."""
    ratios = [row.ratio for row in rows if row.ratio]
    return exp(sum(map(log, ratios)) / len(ratios)) if ratios else None


def page(rows: list[Row], machine: dict, limits: dict, command: str) -> str:
    parts = [
        "# Speed beside the peers", "",
        f"Written by `{command}`; what is measured, and how: "
        "[benchmarks/speed](../speed/README.md).", "",
        *_machine_lines(machine, limits),
    ]  # fmt: skip
    for threads in sorted({row.threads for row in rows}):
        chosen = [row for row in rows if row.threads == threads]
        parts += ["", f"## {_count(threads, 'thread')}", "", *_summary(chosen), ""]
        parts += _ratios(chosen)
        parts += ["", "Seconds for one unit of work, the median of the rounds' medians (the least "
                  "in brackets):", "", *_times(chosen)]  # fmt: skip
        parts += ["", "Compile time (the first call less a later one; `disk`: with the object code "
                  "on disk), and peak memory above that of the imported library:", "",
                  *_costs(chosen)]  # fmt: skip
        parts += ["", "### Missed", "", *_missed(chosen)]
    return "\n".join(parts) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")


def _machine_lines(machine: dict, limits: dict) -> list[str]:
    sizes = ", ".join(f"{k} {v >> 10} KiB" for k, v in machine["caches"].items())
    lines = [
        f"{machine['processor']}, {_count(machine['cores'], 'core')}, vectors of "
        f"{machine['vector_bytes']} bytes, {sizes}; {machine['system']}, "
        f"Python {machine['python']}.", "",
        ", ".join(f"{name} {v}" for name, v in versions().items()) + ".", "",
        _header("measured limits", "float32", "float64", "copy in L1", "L2", "L3", "memory"),
    ]  # fmt: skip
    for threads, found in sorted(limits.items()):
        cells = [f"{found[f'fma_{name}'] / 1e9:.0f} GFLOP/s" for name in ("float32", "float64")]
        cells += [f"{found['copy'][k] / 1e9:.0f} GB/s" for k in ("L1", "L2", "L3", "memory")]
        lines.append(_line(_count(threads, "thread"), *cells))
    return lines


def _summary(rows: list[Row]) -> list[str]:
    mean = geometric_mean(rows)
    missed = sum(bool(row.missed()) for row in rows)
    slower = sum(row.ratio is not None and row.ratio < 1 for row in rows)
    return [
        f"{_count(len(rows), 'row')}; geometric mean of the ratios "
        f"{_number(mean)}; {slower} below parity; {missed} with a figure missed."
    ]  # fmt: skip


def _ratios(rows: list[Row]) -> list[str]:
    lines = [
        _header("row", "chainrule", "best peer", "its time", "ratio", "of the FMA ceiling",
                "of the bandwidth", "of the roofline", "objectives"),
    ]  # fmt: skip
    for row in rows:
        own, peer = row.ours, row.peer
        shares = [own and row.share(own[1], of) for of in ("ceiling", "bandwidth", "roofline")]
        lines.append(_line(
            row.title, _seconds(own and own[1].time), peer[0] if peer else "",
            _seconds(peer and peer[1].time), _number(row.ratio), *map(_percent, shares),
            _number(row.evaluations),
        ))  # fmt: skip
    return lines


def _names(rows: list[Row]) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row.results)
    return sorted(names, key=lambda name: not name.startswith(OURS))


def _times(rows: list[Row]) -> list[str]:
    names = _names(rows)
    lines = [_header("row", *names)]
    for row in rows:
        cells = [_cell(row.results.get(name)) for name in names]
        lines.append(_line(row.title, *cells))
    return lines


def _cell(result) -> str:
    if result is None:
        return ""
    if not result.bursts:
        return "failed"
    return f"{_seconds(result.time)} ({_seconds(result.minimum)})"


def _costs(rows: list[Row]) -> list[str]:
    names = [n for n in _names(rows) if n.split()[0] in (OURS, "jax", "torch.compile")]
    everyone = [n for n in _names(rows) if n != "chainrule objective"]
    lines = [_header("row", *(f"{n}, compile" for n in names), *(f"{n}, MB" for n in everyone))]
    for row in rows:
        cells = [_compile_cell(row.results.get(n)) for n in names]
        for name in everyone:
            found = row.results.get(name)
            cells.append(f"{found.memory / 1e6:.1f}" if found and found.bursts else "")
        lines.append(_line(row.title, *cells))
    return lines


def _compile_cell(result) -> str:
    if result is None or not result.bursts:
        return ""
    cached = result.compile_time(result.first_cached)
    return _seconds(result.compile_time(result.first)) + (
        "" if cached is None else f" (disk {_seconds(cached)})"
    )


def _missed(rows: list[Row]) -> list[str]:
    lines = [f"- {row.title}: {'; '.join(m)}" for row in rows if (m := row.missed())]
    for row in rows:
        for name, result in row.results.items():
            if result.error and not name.startswith(OURS):
                lines.append(f"- {row.title}: {name} did not run ({result.error.splitlines()[0]})")
    return lines or ["Nothing."]


# --- cells ----------------------------------------------------------------------------------------


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _header(*names: str) -> str:
    return _line(*names) + "\n|---|" + "---:|" * (len(names) - 1)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _seconds(value: float | None) -> str:
    if value is None or value != value:
        return ""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"
