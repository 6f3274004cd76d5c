"""The cheapest schedule of a small program in its own order, by an integer program: an oracle.

Stage t is where node t runs for the first time; nodes before it may run again in the same stage, in
order. With R[t, i] that node i runs in stage t, S[t, i] that its values are kept into stage t, and
F[t, k, i] that i's are let go after k has run, and U[t, k] the bytes while k runs:

    least    sum of cost[i] R[t, i]
    where    R[t, t] = 1;   R[t, k] <= R[t, i] + S[t, i] where k reads i
             S[t, i] <= R[t - 1, i] + S[t - 1, i]
             F[t, k, i] = 1 where k runs and neither a later node of the stage nor the next stage
                            wants i
             U[t, 0] = kept bytes;   U grows by what is made and shrinks by what is let go
             U[t, k] + what k itself needs <= memory

Source    Jain et al., "Checkmate: breaking the memory wall with optimal tensor rematerialization",
          MLSys 2020, equations 1 to 8; solved by SciPy's HiGHS.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np

from chainrule.program.footprint import scratch
from chainrule.transforms.recompute import Work

_NODES = 3000  # of the solver's tree


def solved_order(work: Work, memory: int | None) -> list[int] | None:
    """The cheapest order within `memory` bytes; with None, one that takes the least bytes.

    None where the solver finds none.
    """
    return _Model(work, memory).solved()


class _Model:
    """The integer program: variables are numbered as they are asked for."""

    def __init__(self, work: Work, memory: int | None):
        self.work, self.n = work, work.count
        self.number: dict[tuple, int] = {}
        self.rows: list[tuple[dict[int, float], float, float]] = []
        self.integral: list[int] = []
        self.upper: list[float] = []
        self.reads = [tuple({work.maker[v] for v in reads}) for reads in work.reads]
        self.readers: list[list[int]] = [[] for _ in range(self.n)]
        for k, reads in enumerate(self.reads):
            for i in reads:
                self.readers[i].append(k)
        sizes = [sum(work.size[v] for v in work.makes[k]) for k in range(self.n)]
        self.unit = float(max(sizes, default=1) or 1)
        self.size = [s / self.unit for s in sizes]
        self.own = [scratch(e) / self.unit for e in work.equations]
        self.memory = None if memory is None else memory / self.unit
        self.finals = {work.maker[v] for v in work.results}
        self._state()

    def _var(self, *key, integral: bool = True, upper: float = 1.0) -> int:
        found = self.number.get(key)
        if found is None:
            found = self.number[key] = len(self.upper)
            self.integral.append(int(integral))
            self.upper.append(upper)
        return found

    def _row(self, terms: list[tuple[int, float]], low: float, high: float) -> None:
        row: dict[int, float] = {}
        for var, factor in terms:
            row[var] = row.get(var, 0.0) + factor
        self.rows.append((row, low, high))

    # --- the constraints --------------------------------------------------------------------------

    def _runs(self, t: int, i: int):
        return [(self._var("R", t, i), 1.0)] if i <= t < self.n else []

    def _kept(self, t: int, i: int):
        return [(self._var("S", t, i), 1.0)] if i < t else []

    def _state(self) -> None:
        for t in range(self.n):
            self._row(self._runs(t, t), 1.0, 1.0)
            for k in range(t + 1):
                for i in self.reads[k]:
                    there = [*self._runs(t, i), *self._kept(t, i)]
                    self._row([*self._runs(t, k), *_negative(there)], -np.inf, 0.0)
        for t in range(1, self.n + 1):
            for i in range(min(t, self.n)):
                before = [*self._runs(t - 1, i), *self._kept(t - 1, i)]
                self._row([*self._kept(t, i), *_negative(before)], -np.inf, 0.0)
        for i in self.finals:
            self._row(self._kept(self.n, i), 1.0, 1.0)
        for t in range(self.n):
            self._bytes(t)

    def _bytes(self, t: int) -> None:
        """U[t, k] for every node of a stage, from the one before."""
        bound = np.inf if self.memory is None else self.memory
        before = [(var, self.size[i]) for i in range(t) for var, _ in self._kept(t, i)]
        for k in range(t + 1):
            now = self._var("U", t, k, integral=False, upper=np.inf)
            made = [(var, self.size[k]) for var, _ in self._runs(t, k)]
            self._row([(now, 1.0), *_negative(before), *_negative(made)], 0.0, 0.0)
            peak = [(now, 1.0), *((var, self.own[k]) for var, _ in self._runs(t, k))]
            if self.memory is None:
                peak.append((self._var("peak", integral=False, upper=np.inf), -1.0))
                bound = 0.0
            self._row(peak, -np.inf, bound)
            before = [(now, 1.0)]
            for i in (*self.reads[k], k):
                before.append((self._freed(t, k, i), -self.size[i]))

    def _freed(self, t: int, k: int, i: int) -> int:
        """F[t, k, i]: none of the reasons to keep i after k holds, and k runs."""
        freed = self._var("F", t, k, i)
        wanted = [*self._kept(t + 1, i)]
        for j in self.readers[i]:
            if k < j <= t:
                wanted += self._runs(t, j)
        self._row([(freed, 1.0), *_negative(self._runs(t, k))], -np.inf, 0.0)
        for var, _ in wanted:
            self._row([(freed, 1.0), (var, 1.0)], -np.inf, 1.0)
        return freed

    # --- solving ----------------------------------------------------------------------------------

    def solved(self) -> list[int] | None:
        optimize, sparse = import_module("scipy.optimize"), import_module("scipy.sparse")
        place = [(r, var, f) for r, (row, _, _) in enumerate(self.rows) for var, f in row.items()]
        rows, columns, factors = (list(x) for x in zip(*place, strict=True))
        shape = (len(self.rows), len(self.upper))
        matrix = sparse.csr_array((factors, (rows, columns)), shape=shape)
        _, low, high = zip(*self.rows, strict=True)
        found = optimize.milp(
            self._objective(), integrality=self.integral,
            bounds=optimize.Bounds(0.0, np.array(self.upper)),
            constraints=optimize.LinearConstraint(matrix, low, high),
            options={"node_limit": _NODES, "mip_rel_gap": 0.005},
        )  # fmt: skip
        if found.x is None:
            return None
        runs = lambda t, i: found.x[self.number["R", t, i]] > 0.5
        return [i for t in range(self.n) for i in range(t + 1) if runs(t, i)]

    def _objective(self) -> np.ndarray:
        out = np.zeros(len(self.upper))
        total = float(sum(self.work.cost)) or 1.0
        for (kind, *place), var in self.number.items():
            if kind == "R":
                out[var] = (self.work.cost[place[1]] + 1e-6 * total) / total
        if self.memory is None:
            out *= 1e-3
            out[self.number["peak",]] = 1.0
        return out


def _negative(terms):
    return [(var, -factor) for var, factor in terms]
