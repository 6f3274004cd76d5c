"""ADBench's bundle adjustment: the sparse Jacobian of reprojection errors, as its blocks.

Each observation has two residuals by a camera's 11 parameters, a point's 3 and a weight: a block of
2 x 15, and one derivative of the weight's own residual. A block is two cotangents, so everybody
goes in reverse; or the whole objective is given to `jacobian(sparse=True)`, which needs 14 colours.
"""

from __future__ import annotations

import numpy as np

from benchmarks.speed.contender import Contender, Workload
from benchmarks.speed.workloads import adbench, builders


def rotated(xp, rotation, x):
    """x turned about an axis, by Rodrigues' formula; of first order where there is no rotation."""
    square = xp.sum(rotation * rotation)
    angle = xp.sqrt(xp.where(square == 0, 1.0, square))
    axis = rotation / angle
    cosine = xp.cos(angle)
    turned = x * cosine + cross(xp, axis, x) * xp.sin(angle)
    turned = turned + axis * (xp.sum(axis * x) * (1 - cosine))
    return xp.where(square == 0, x + cross(xp, rotation, x), turned)


def cross(xp, a, b):
    return xp.stack([
        a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
    ])  # fmt: skip


def residual(xp, camera, point, weight, feature):
    """camera: (11) of rotation, centre, focal length, principal point, distortion -> (2)."""
    x = rotated(xp, camera[:3], point - camera[3:6])
    flat = x[:2] / x[2]
    square = xp.sum(flat * flat)
    distorted = flat * (1 + camera[9] * square + camera[10] * square * square)
    return weight * (distorted * camera[6] + camera[7:9] - feature)


def all_residuals(xp, vmap, cameras, points, weights, features, camera_of, point_of):
    """The objective: (p, 2) and (p)."""

    def one(camera, point, weight, feature):
        return residual(xp, camera, point, weight, feature)

    errors = vmap(one)(cameras[camera_of], points[point_of], weights, features)
    return errors, 1 - weights**2


def blocks(xp, vmap, jacobian, cameras, points, weights, features, camera_of, point_of):
    """The Jacobian: (p, 2, 11), (p, 2, 3), (p, 2), and (p) for the weights' residuals."""

    def one(camera, point, weight, feature):
        return residual(xp, camera, point, weight, feature)

    rows = vmap(jacobian(one))(cameras[camera_of], points[point_of], weights, features)
    return *rows, -2 * weights


def inputs(rng, cameras, points, observations):
    """ADBench's file (one camera, point, weight and feature, repeated), or the same with noise."""
    file = adbench.numbers(f"ba1_n{cameras}_m{points}_p{observations}.txt")
    if file is not None:
        file.take(3)
        camera, point, weight, feature = file.take(11), file.take(3), file.take(1), file.take(2)
        noise = 0.0
    else:
        camera = np.array([-0.8, -1.1, -0.8, 34.0, 39.0, 53.0, 419.0, 5.8, -8.5, 0.08, 0.003])
        point, weight, feature = (
            np.array([7.2, 0.0, 3.0]),
            np.array([0.4]),
            np.array([271.0, 834.0]),
        )
        noise = 0.01

    def spread(values, count):
        return values * (1 + noise * rng.normal(size=(count, len(values))))

    turn = np.arange(observations)
    return (
        spread(camera, cameras), spread(point, points), spread(weight, observations)[:, 0],
        spread(feature, observations), turn % cameras, turn % points,
    )  # fmt: skip


def with_chainrule(cr):
    def jacobian(f):
        return cr.jacobian(f, (0, 1, 2), mode="reverse")

    return lambda *inputs: blocks(np, cr.vmap, jacobian, *inputs)


def with_jax(jax):
    def jacobian(f):
        return jax.jacrev(f, (0, 1, 2))

    return lambda *inputs: blocks(jax.numpy, jax.vmap, jacobian, *inputs)


def with_torch(torch):
    def jacobian(f):
        return torch.func.jacrev(f, (0, 1, 2))

    return lambda *inputs: blocks(torch, torch.func.vmap, jacobian, *inputs)


def sparse(inputs) -> Contender:
    """The whole objective's Jacobian as sparse matrices, compiled."""
    import chainrule as cr

    *variables, features, camera_of, point_of = inputs

    def objective(cameras, points, weights):
        return all_residuals(
            np, cr.vmap, cameras, points, weights, features, camera_of, point_of
        )

    jacobian = cr.compile(cr.jacobian(objective, (0, 1, 2), sparse=True))

    def as_blocks() -> list:
        (by_camera, by_point, by_weight), (_, _, own) = jacobian(*variables)
        p = len(features)
        rows = np.arange(2 * p).reshape(p, 2)
        return [
            _entries(by_camera, rows, camera_of, 11), _entries(by_point, rows, point_of, 3),
            _entries(by_weight, rows, np.arange(p), 1)[..., 0], own.diagonal(),
        ]  # fmt: skip

    return Contender(lambda: jacobian(*variables), as_blocks)


def _entries(matrix, rows, block_of, width: int) -> np.ndarray:
    """The block of each observation: its two rows, and the columns of what it observes."""
    columns = block_of[:, None, None] * width + np.arange(width)
    shape = (*rows.shape, width)
    rows = np.broadcast_to(rows[:, :, None], shape).ravel()
    columns = np.broadcast_to(columns, shape).ravel()
    return np.asarray(matrix[rows, columns]).reshape(shape)


def traffic(cameras, points, observations) -> float:
    """Cameras, points, weights, features and two indices in, blocks out."""
    return 8.0 * (11 * cameras + 3 * points + observations * (1 + 2 + 2 + 30 + 1))


def draw(rng) -> dict:
    cameras, points, each = (int(rng.integers(*ends)) for ends in ((5, 100), (500, 9000), (2, 6)))
    return {"cameras": cameras, "points": points, "observations": each * points}


workload = Workload(
    name="bundle",
    cases={
        "ADBench BA, 49 cameras, 31843 observations, Jacobian":
            {"cameras": 49, "points": 7776, "observations": 31843},
    },
    inputs=inputs,
    contenders={
        "chainrule": builders.chainrule(with_chainrule),
        "chainrule sparse": sparse,
        "chainrule objective":
            builders.chainrule(lambda cr: lambda *inputs: all_residuals(np, cr.vmap, *inputs)),
        "jax": builders.jax(with_jax),
        "torch": builders.torch(with_torch),
        "torch.compile": builders.torch_compile(with_torch),
    },
    traffic=lambda sizes: traffic(**sizes),
    draw=draw,
    tolerance=1e-9,
    double=True,
    objectives=1.5 * 2,
)  # fmt: skip
