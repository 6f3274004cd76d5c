"""One row: all contenders built, compared, and timed in turn.

Each contender is a process that stays alive while the row lasts and waits on its pipe while others
run. A round gives each one burst, in turn, so that a slow moment of the machine hits all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.speed import peers
from benchmarks.speed.contender import OBJECTIVE, OURS, Workload, difference

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    rounds: int = 9
    burst: float = 0.2  # seconds
    rounds_of_slow: int = 3  # of contenders that take many times as long as the fastest
    slow: float = 20.0


QUICK = Plan(rounds=3, burst=0.05)


@dataclass
class Result:
    """What was found of one contender; times are seconds for one unit of work."""

    bursts: list[float] = field(default_factory=list)  # the median of each burst
    minimum: float = float("inf")
    first: float = 0.0  # the first call, which compiles
    first_cached: float | None = None  # the same with what is on disk from before
    steps: int = 1
    memory: int = 0
    error: str = ""

    @property
    def time(self) -> float:
        return median(self.bursts) if self.bursts else float("nan")

    def compile_time(self, first: float | None) -> float | None:
        """The first call less a later one."""
        return None if first is None else max(0.0, first - self.time * self.steps)

    def as_dict(self) -> dict:
        return {
            "median": self.time, "minimum": self.minimum, "bursts": self.bursts,
            "compile": self.compile_time(self.first),
            "compile_cached": self.compile_time(self.first_cached),
            "memory": self.memory, "error": self.error,
        }  # fmt: skip


class Process:
    """A worker, and requests to it."""

    def __init__(self, contender: str, threads: int, cache: str):
        command = [
            sys.executable, "-m", "benchmarks.speed.worker", peers.library(contender), str(threads),
        ]  # fmt: skip
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in `close`)
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, env={**os.environ, "CHAINRULE_CACHE": cache},
        )  # fmt: skip

    def ask(self, **request) -> dict:
        """The worker's answer; one with "error" where it failed or died."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "the process died: " + self._last_words()}

    def _last_words(self) -> str:
        self.process.wait()
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return lines[-1][:300] if lines else f"status {self.process.returncode}"

    def close(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Measurement:
    """A row's processes and results, with one number of threads."""

    def __init__(self, workload: Workload, sizes: dict, threads: int, plan: Plan):
        self.workload, self.sizes, self.threads, self.plan = workload, sizes, threads, plan
        self.results: dict[str, Result] = {}
        self.processes: dict[str, Process] = {}

    def run(self, say=lambda text: None) -> dict[str, Result]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                for name in self._contenders():
                    say(f"{name}: building")
                    self._build(name, Path(folder))
                self._compare(Path(folder))
                say("timing")
                self._time()
            finally:
                for process in self.processes.values():
                    process.close()
        return self.results

    def _contenders(self) -> list[str]:
        return [
            name for name in self.workload.contenders
            if peers.installed(name) and not self.workload.leave_out(name, self.sizes)
        ]  # fmt: skip

    def _build(self, name: str, folder: Path) -> None:
        cache = folder / "cache" / name
        cache.mkdir(parents=True, mode=0o700)
        result = self.results[name] = Result()
        process = Process(name, self.threads, str(cache))
        request = {
            "do": "build", "workload": self.workload.name, "sizes": self.sizes, "contender": name,
        }  # fmt: skip
        answer = process.ask(**request, values=str(folder / f"{name}.npz"))
        if self._failed(name, answer):
            process.close()
            return
        self.processes[name] = process
        result.first, result.steps = answer["first"], answer["steps"]
        if name.startswith(OURS):
            again = Process(name, self.threads, str(cache))
            result.first_cached = again.ask(**request, values="").get("first")
            again.close()

    def _failed(self, name: str, answer: dict) -> bool:
        if "error" in answer:
            self.results[name].error = answer["error"]
        return "error" in answer

    def _compare(self, folder: Path) -> None:
        """Contenders that compute something else than most others do are not timed."""
        values = {}
        for name in self.processes:
            with np.load(folder / f"{name}.npz") as file:
                values[name] = [file[key] for key in file.files]
        values.pop(OBJECTIVE, None)
        for name, own in values.items():
            others = sorted(
                difference(self.workload, own, other) for n, other in values.items() if n != name
            )
            agreed = others[(len(others) - 1) // 2] if others else 0.0
            if agreed > 1:
                self.results[name].error = f"computes something else: {agreed:.1f} tolerances off"
                self.processes.pop(name).close()

    def _time(self) -> None:
        for number in range(self.plan.rounds):
            for name, process in list(self.processes.items()):
                if number >= self.plan.rounds_of_slow and self._is_slow(name):
                    continue
                answer = process.ask(do="burst", seconds=self.plan.burst)
                if self._failed(name, answer):
                    self.processes.pop(name).close()
                    continue
                result = self.results[name]
                result.bursts.append(median(answer["times"]))
                result.minimum = min(result.minimum, *answer["times"])
        for name, process in self.processes.items():
            self.results[name].memory = process.ask(do="memory").get("peak", 0)

    def _is_slow(self, name: str) -> bool:
        times = [self.results[other].time for other in self.processes if other != OBJECTIVE]
        return bool(times) and self.results[name].time > self.plan.slow * min(times)
