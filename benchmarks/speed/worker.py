"""One contender of one row, in a process of its own, driven over a pipe.

    python -m benchmarks.speed.worker LIBRARY THREADS CORES

reads one JSON request a line from standard input and answers each with one line. What libraries
print goes to standard error. LIBRARY and THREADS decide the environment before anything is loaded.

    {"do": "build", "workload", "sizes", "contender", "values": path}
        inputs and contender are made, called once and checked; the values go to the path.
        -> {"first": seconds of the first call, "processor": those of its threads, "steps": ...}
    {"do": "burst", "seconds": 0.2}     -> {"times": seconds for each unit of work}
    {"do": "memory"}                    -> {"peak": bytes above the baseline}
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import repeat

import numpy as np

from benchmarks.speed import memory, peers


class Worker:
    """What one worker keeps between requests."""

    def build(self, workload: str, sizes: dict, contender: str, values: str) -> dict:
        from benchmarks.speed.workloads import WORKLOADS

        subject = WORKLOADS[workload]
        peers.warm_up(sys.argv[1], subject.double)
        memory.reset()
        self.baseline = memory.resident()
        inputs = subject.inputs(np.random.default_rng(0), **sizes)
        self.made = subject.contenders[contender](inputs)
        start, spent = time.perf_counter(), time.process_time()
        self.made.call()
        first, spent = time.perf_counter() - start, time.process_time() - spent
        arrays = [np.asarray(x) for x in self.made.check()]
        if values:
            np.savez(values, *arrays)
        self.once = self._seconds_of_a_call()
        # Calls under a millisecond are timed together.
        self.repeats = max(1, min(10_000, round(1e-3 / max(self.once, 1e-8))))
        return {"first": first, "processor": spent, "steps": self.made.steps}

    def _seconds_of_a_call(self) -> float:
        start = time.perf_counter()
        self.made.call()
        return time.perf_counter() - start

    def burst(self, seconds: float) -> dict:
        """Times of one unit of work, for that long; a short call first wakes caches and threads."""
        call, times = self.made.call, []
        clock = time.perf_counter
        if self.once < seconds:
            call()
        end = clock() + seconds
        while clock() < end or not times:
            start = clock()
            for _ in repeat(None, self.repeats):
                call()
            times.append((clock() - start) / (self.repeats * self.made.steps))
        return {"times": times}

    def memory(self) -> dict:
        """The largest resident memory during calls, above what the library alone took."""
        memory.reset()
        for _ in range(3):
            self.made.call()
        return {"peak": max(0, memory.peak() - self.baseline)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peers.prepare(sys.argv[1], int(sys.argv[2]))
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
