"""ADBench's hand tracking: the Jacobian of a posed hand's distances to measured points.

26 parameters (the hand's rotation and place, four angles of each finger) pose 22 bones, which move
the 544 vertices of a skin. All 26 directions are pushed forward at once.
"""

from __future__ import annotations

import numpy as np

from benchmarks.speed.contender import Workload
from benchmarks.speed.workloads import adbench, builders

BONES, PARAMETERS = 22, 26
PARENTS = [-1, *(0 if i % 4 == 0 else i for i in range(20)), 0]

# Which parameter turns which bone about which axis: a finger's first bone that bends has two.
PLACE, TURNS = np.zeros((BONES, 3), int), np.zeros((BONES, 3))
for _finger in range(5):
    for _joint, _axis, _number in ((0, 0, 0), (0, 1, 1), (1, 0, 2), (2, 0, 3)):
        PLACE[4 * _finger + 2 + _joint, _axis] = 6 + 4 * _finger + _number
        TURNS[4 * _finger + 2 + _joint, _axis] = 1.0


def bone_rotations(xp, angles):
    """R_z R_y R_x of each bone; the angles come in the order x, z, y. (B, 3) -> (B, 3, 3)."""
    sines, cosines = xp.sin(angles), xp.cos(angles)
    (sx, sz, sy), (cx, cz, cy) = sines.T, cosines.T
    rows = [
        cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz,
        cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz,
        -sy, sx * cy, cx * cy,
    ]  # fmt: skip
    return xp.stack(rows).T.reshape(-1, 3, 3)


def global_rotation(xp, vector):
    """The rotation about a vector by its length (which is not 0 in a hand that is tracked)."""
    angle = xp.sqrt(xp.sum(vector * vector))
    x, y, z = vector / angle
    s, c = xp.sin(angle), xp.cos(angle)
    rows = [
        x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s,
        x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s,
        x * z * (1 - c) - y * s, z * y * (1 - c) + x * s, z * z + (1 - z * z) * c,
    ]  # fmt: skip
    return xp.stack(rows).reshape(3, 3)


def residuals(xp, theta, place, turns, relatives, inverses, skin, weights, vertex_of, measured):
    """theta: (26), relatives and inverses: (B, 4, 4), skin: (4, V), weights: (B, V) -> (3 P)."""
    rotations = bone_rotations(xp, theta[place] * turns)
    posed = xp.concatenate([relatives[:, :, :3] @ rotations, relatives[:, :, 3:]], 2)
    absolutes: list = []
    for bone, parent in enumerate(PARENTS):
        absolutes.append(posed[bone] if parent < 0 else absolutes[parent] @ posed[bone])
    transforms = xp.stack(absolutes) @ inverses
    moved = (transforms[:, :3] @ skin) * weights[:, None, :]  # (B, 3, V)
    vertices = global_rotation(xp, theta[:3]) @ moved.sum(0) + theta[3:6][:, None]
    return (measured - vertices[:, vertex_of].T).reshape(-1)


def inputs(rng, points):
    """ADBench's hand and measurement, or a random hand of the same make."""
    file = adbench.numbers(f"hand1_t26_c{points}.txt")
    if file is None:
        return random_hand(rng, points)
    file.take(2)
    rows = file.take(points, 4)
    bones = [line.split(":") for line in (adbench.FOLDER / "hand_model/bones.txt").open()]
    matrices = np.array([bone[2:34] for bone in bones], float).reshape(-1, 2, 4, 4)
    skin, weights = read_skin((adbench.FOLDER / "hand_model/vertices.txt").read_text())
    theta = file.rest(PARAMETERS)
    return (
        theta, PLACE, TURNS, matrices[:, 0], matrices[:, 1], skin, weights,
        rows[:, 0].astype(int), rows[:, 1:],
    )  # fmt: skip


def read_skin(text: str) -> tuple:
    """Homogeneous positions (4, V), and each bone's weight on each vertex (B, V)."""
    lines = [line.split(":") for line in text.split()]
    skin = np.ones((4, len(lines)))
    skin[:3] = np.array([line[:3] for line in lines], float).T
    weights = np.zeros((BONES, len(lines)))
    for vertex, line in enumerate(lines):
        pairs = line[9 : 9 + 2 * int(line[8])]
        weights[[int(bone) for bone in pairs[::2]], vertex] = [float(w) for w in pairs[1::2]]
    return skin, weights


def random_hand(rng, points, vertices=544) -> tuple:
    matrices = np.tile(np.eye(4), (2, BONES, 1, 1))
    matrices[:, :, :3] += 0.1 * rng.normal(size=(2, BONES, 3, 4))
    skin = np.concatenate([rng.normal(size=(3, vertices)), np.ones((1, vertices))])
    weights = rng.dirichlet(np.full(BONES, 0.1), vertices).T.copy()
    return (
        rng.normal(size=PARAMETERS), PLACE, TURNS, *matrices, skin, weights,
        rng.integers(0, vertices, points), rng.normal(size=(points, 3)),
    )  # fmt: skip


def with_chainrule(cr):
    return cr.jacobian(lambda *inputs: residuals(np, *inputs), mode="forward")


def with_jax(jax):
    return jax.jacfwd(lambda *inputs: residuals(jax.numpy, *inputs))


def with_torch(torch):
    return torch.func.jacfwd(lambda *inputs: residuals(torch, *inputs))


def flops(points, vertices=544) -> float:
    """The skin's products, of the value and of 26 tangents; all else is small."""
    return (1 + PARAMETERS) * 2.0 * vertices * (BONES * 12 + BONES * 3 + 9)


def traffic(points, vertices=544) -> float:
    """The hand and the points in, the Jacobian out."""
    return 8.0 * (vertices * (4 + BONES) + 2 * BONES * 16 + points * (4 + 3 * PARAMETERS))


workload = Workload(
    name="hand",
    cases={"ADBench hand tracking, 100 points, Jacobian": {"points": 100}},
    inputs=inputs,
    contenders={
        "chainrule": builders.chainrule(with_chainrule),
        "chainrule objective":
            builders.chainrule(lambda cr: lambda *inputs: residuals(np, *inputs)),
        "jax": builders.jax(with_jax),
        "torch": builders.torch(with_torch),
        "torch.compile": builders.torch_compile(with_torch),
    },
    flops=lambda sizes: flops(**sizes),
    traffic=lambda sizes: traffic(**sizes),
    draw=lambda rng: {"points": int(rng.integers(20, 1000))},
    tolerance=1e-9,
    double=True,
    objectives=1.5 * PARAMETERS,
)  # fmt: skip
