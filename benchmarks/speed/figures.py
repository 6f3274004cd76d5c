"""What a row's measurements come to: ratios, shares of what the machine can do, what is missed."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.speed import machine
from benchmarks.speed.contender import OBJECTIVE, OURS, Workload
from benchmarks.speed.measure import Result

RATIO, ROOFLINE, BANDWIDTH = 1.5, 0.85, 0.9
COMPILE, COMPILE_CACHED = 0.5, 0.1  # of JAX's compile time
PAGES = 1 << 20  # bytes of resident memory that come and go by chance


@dataclass
class Row:
    """One row's results on a number of threads, and the machine's measured limits with it."""

    title: str
    workload: Workload
    sizes: dict
    threads: int
    results: dict[str, Result]
    limits: dict

    def _timed(self, ours: bool) -> dict[str, Result]:
        return {
            name: r for name, r in self.results.items()
            if r.bursts and name.startswith(OURS) == ours and name != OBJECTIVE
        }  # fmt: skip

    @property
    def ours(self) -> tuple[str, Result] | None:
        """chainrule's best form."""
        return min(self._timed(True).items(), key=lambda item: item[1].time, default=None)

    @property
    def peer(self) -> tuple[str, Result] | None:
        """The best form of the best peer."""
        return min(self._timed(False).items(), key=lambda item: item[1].time, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the best peer."""
        return self.peer[1].time / self.ours[1].time if self.ours and self.peer else None

    @property
    def roofline(self) -> float:
        """Seconds that the machine needs at least: for the flops, or for the bytes."""
        name = "float64" if self.workload.double else "float32"
        return max(self.flops / self.limits[f"fma_{name}"], self.moving)

    @property
    def flops(self) -> float:
        return self.workload.flops(self.sizes)

    @property
    def moving(self) -> float:
        """Seconds to move the bytes, in the level of memory that they sit in."""
        return self.workload.traffic(self.sizes) / self.limits["copy"][self.level]

    @property
    def level(self) -> str:
        return machine.level_of(self.workload.traffic(self.sizes))

    def share(self, result: Result, of: str = "roofline") -> float | None:
        """Which part of a limit a contender reaches."""
        name = "float64" if self.workload.double else "float32"
        least = {
            "roofline": self.roofline, "bandwidth": self.moving,
            "ceiling": self.flops / self.limits[f"fma_{name}"],
        }[of]  # fmt: skip
        return least / result.time if least else None

    @property
    def evaluations(self) -> float | None:
        """The row's time in evaluations of its objective."""
        if not self.ours or not (found := self.results.get(OBJECTIVE)) or not found.bursts:
            return None
        return self.ours[1].time / found.time

    def missed(self) -> list[str]:
        """The figures that are not reached, each with by how much."""
        if not self.ours:
            errors = [r.error for n, r in self.results.items() if n.startswith(OURS) and r.error]
            return [f"not run: {'; '.join(errors) or 'no contender'}"]
        found = [*self._missed_speed(), *self._missed_compile_time(), *self._missed_memory()]
        return [text for text in found if text]

    def _missed_speed(self):
        assert self.ours
        own = self.ours[1]
        if self.workload.seconds and own.time > self.workload.seconds:
            yield f"latency {own.time * 1e6:.2f} us, not {self.workload.seconds * 1e6:.2f}"
        if self.workload.objectives and (spent := self.evaluations):
            if spent > self.workload.objectives:
                yield f"{spent:.1f} objectives, not {self.workload.objectives:g}"
        share = self.share(own) or 0.0
        if self.workload.figure == "bandwidth":
            if self.level == "memory" and (share := self.share(own, "bandwidth") or 0) < BANDWIDTH:
                yield f"{share:.0%} of the copy bandwidth, not {BANDWIDTH:.0%}"
            elif self.level != "memory" and (self.ratio or 1) < 1:
                yield f"{self.ratio:.2f}x the best peer, not 1x"
        elif self.ratio is not None and self.ratio < RATIO and share < ROOFLINE:
            yield f"{self.ratio:.2f}x the best peer, not {RATIO}x; {share:.0%} of the roofline"

    def _missed_compile_time(self):
        assert self.ours
        times = [
            r.compile_time(r.first) for n, r in self.results.items()
            if n.split()[0] == "jax" and r.bursts
        ]  # fmt: skip
        if not times or not min(times):
            return  # of JAX's scan of convolutions, seconds a step, the noise is more
        least, own = min(times), self.ours[1]
        for what, first, part in (
            ("compile time", own.first, COMPILE), ("from disk", own.first_cached, COMPILE_CACHED)
        ):  # fmt: skip
            spent = own.compile_time(first)
            if spent is not None and spent > part * least:
                yield f"{what} {spent / least:.2f} of JAX's, not {part}"

    def _missed_memory(self):
        assert self.ours
        peers = [r.memory for r in self._timed(False).values()]
        if peers and self.ours[1].memory > min(peers) + PAGES:
            yield f"peak memory {_megabytes(self.ours[1].memory)}, not {_megabytes(min(peers))}"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
