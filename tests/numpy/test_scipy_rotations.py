"""Rotations of scipy.spatial.transform, against Rodrigues' formula and SciPy's own differences."""

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("scipy", "1.17")  # which has the form that is followed
from scipy.spatial.transform import RigidTransform, Rotation, Slerp

V, W = np.array([0.3, -0.5, 0.7]), np.array([1.0, 2.0, 3.0])
Q = np.array([0.1, 0.2, 0.3, 0.9])
MANY = np.random.default_rng(0).normal(size=(4, 3))
PLAIN = Rotation.from_rotvec(W)

FUNCTIONS = {
    "euler": (lambda x: Rotation.from_euler("xyz", x).as_matrix(), V),
    "degrees": (lambda x: Rotation.from_euler("ZYX", 50.0 * x, degrees=True).as_quat(), V),
    "quaternion": (lambda x: Rotation.from_quat(x).as_rotvec(), Q),
    "to angles": (lambda x: Rotation.from_rotvec(x).as_euler("xyz"), V),
    "product": (lambda x: (PLAIN * Rotation.from_rotvec(x)).as_matrix(), V),
    "inverse": (lambda x: Rotation.from_rotvec(x).inv().apply(W), V),
    "power": (lambda x: (Rotation.from_rotvec(x) ** 0.5).as_rotvec(), V),
    "magnitude": (lambda x: Rotation.from_rotvec(x).magnitude(), V),
    "many": (lambda x: Rotation.from_rotvec(x)[1:].apply(x[1:]), MANY),
    "mean": (lambda x: Rotation.from_rotvec(x).mean().as_rotvec(), MANY),
    "between": (lambda x: Slerp([0, 1], Rotation.from_rotvec(np.array([x, W])))(0.3).as_quat(), V),
    "of a plain one": (lambda x: PLAIN.apply(x), V),
    "moved": (lambda x: RigidTransform.from_exp_coords(np.concatenate([x, W / 9])).apply(W), V),
    "aligned": (lambda x: Rotation.align_vectors(x, MANY + 0.1)[0].as_matrix(), MANY),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rotations(name):
    f, x = FUNCTIONS[name]
    d, h = np.random.default_rng(1).normal(size=x.shape), 1e-6
    value, tangent = cr.jvp(f, (x,), (d,))
    np.testing.assert_allclose(value, f(x), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(cr.compile(f)(x), f(x), rtol=1e-12, atol=1e-13)
    wanted = (np.asarray(f(x + h * d)) - np.asarray(f(x - h * d))) / (2 * h)
    np.testing.assert_allclose(tangent, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("v", [V, np.array([0.0, 0.0, 1e-9]), np.zeros(3)])
def test_a_rotation_by_its_vector_also_where_it_turns_by_nothing(v):
    """w cos t + (v x w) sin t / t + v (v w) (1 - cos t) / t^2, t = |v|; at 0 its slope is u x w."""
    u = np.array([0.2, 1.0, -0.4])
    tangent = cr.jvp(lambda v: Rotation.from_rotvec(v).apply(W), (v,), (u,))[1]
    if np.allclose(v, 0.0, atol=1e-6):
        wanted = np.cross(u, W)
    else:
        def formula(v):
            t = np.sqrt(v @ v)
            turned = np.cross(v, W) * np.sin(t) / t
            return W * np.cos(t) + turned + v * (v @ W) * (1.0 - np.cos(t)) / t**2

        wanted = cr.jvp(formula, (v,), (u,))[1]
    np.testing.assert_allclose(tangent, wanted, rtol=1e-7)


def test_outside_of_traces_rotations_take_the_compiled_form():
    cr.grad(lambda v: Rotation.from_rotvec(v).magnitude())(V)
    assert Rotation.from_rotvec(W)._backend is PLAIN._backend
    assert PLAIN._backend.__name__.endswith("_rotation_cy")
