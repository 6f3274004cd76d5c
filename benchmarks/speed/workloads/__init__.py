"""The workloads, one a file, by name."""

from benchmarks.speed.workloads import mlp

WORKLOADS = {module.workload.name: module.workload for module in (mlp,)}
