"""The workloads, one a file, by name."""

from benchmarks.speed.workloads import (
    bundle,
    dense,
    elementwise,
    gmm,
    hand,
    lstm,
    mlp,
    reductions,
    residual,
    resnet,
    small_linear_algebra,
    tiny,
)

WORKLOADS = {
    module.workload.name: module.workload
    for module in (
        mlp, residual, resnet, dense, gmm, bundle, hand, lstm,
        tiny, elementwise, reductions, small_linear_algebra,
    )
}  # fmt: skip
