"""Functions to print: the course's two examples, and one of each kind of user code."""

import dataclasses
from functools import partial

import numpy as np

import chainrule as cr


def course(x):
    return 10 * np.log(1 + np.exp(-2 * x))


def two_paths(x1, x2):
    return np.sin(x1) + x1 * x2


def network(params, images, labels):
    hidden = np.tanh(images @ params["w1"] + params["b1"])
    logits = hidden @ params["w2"]
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_share = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.mean(np.sum(log_share * labels, axis=1))


def network_arguments():
    rng = np.random.default_rng(3)
    params = {
        "w1": rng.normal(size=(5, 4)),
        "b1": rng.normal(size=4),
        "w2": rng.normal(size=(4, 3)),
    }
    return params, rng.normal(size=(6, 5)), np.eye(3)[rng.integers(0, 3, 6)]


def running_product(x):
    x = x * 1.0
    for i in range(1, len(x)):
        x[i] = np.sin(x[i - 1]) * x[i]
    return np.sum(x)


def scaled_twice(values, factor):
    scaled = values * factor
    scaled *= 2.0
    scaled[0] += 1.0
    first = scaled[0]
    total = scaled.sum() + first
    return total


def recurrence(w, xs):
    def step(h, x):
        h = np.tanh(w * h + x)
        return h, h * h

    h, ys = cr.scan(step, 0.0, xs)
    return h + np.sum(ys)


def growth(x):
    def test(state):
        return state[0] < 50.0

    def body(state):
        size, total = state
        return size * x, total + np.sin(size)

    return cr.while_loop(test, body, (1.0, 0.0))[1]


def piecewise(x):
    return cr.cond(np.sum(x) > 0, lambda x: np.sum(np.sin(x)), lambda x: np.sum(x**3), x)


WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
TABLE = np.linspace(0.0, 1.0, 200)


def with_captured(x):
    return np.sum(TABLE * np.sum(x @ WEIGHTS))


@dataclasses.dataclass
class Line:
    slope: np.ndarray
    offset: float


def on_line(line, x):
    return line.slope * x + line.offset


def train(params, x, rate):
    params["w"] -= rate * x
    params["steps"] += 1
    params["w"][0] = 0.0
    return np.sum(params["w"])


def exchange(x, y):
    x[0] = y[1]
    x += y
    y[:] = x[::-1]
    return x.sum()


@cr.custom_derivative
def softplus(x):
    return np.log(1.0 + np.exp(x))


@softplus.forward
def softplus_rule(primals, output, tangents):
    return tangents[0] / (1.0 + np.exp(-primals[0]))


X = np.array([0.3, 0.7, 1.1])
MATRIX = np.random.default_rng(0).normal(size=(3, 3))

# Derivatives of the formulas as they are written, which is what source shows.
_AS_WRITTEN = {"stabilize": False, "kinks": "convention"}
grad, value_and_grad, jvp, hessian = (
    partial(f, **_AS_WRITTEN) for f in (cr.grad, cr.value_and_grad, cr.jvp, cr.hessian)
)

# name -> function and arguments; each is printed, executed and compared
CASES = {
    "course": (course, 0.5),
    "its gradient": (grad(course), 0.5),
    "its second derivative": (grad(grad(course)), 0.5),
    "its jvp": (lambda x, dx: jvp(course, (x,), (dx,)), 0.5, 2.0),
    "its batch of gradients": (cr.vmap(grad(course)), X),
    "two paths": (value_and_grad(two_paths, (0, 1)), 0.5, 2.0),
    "network": (network, *network_arguments()),
    "its value and gradient": (value_and_grad(network), *network_arguments()),
    "running product": (running_product, X),
    "its gradient in place": (grad(running_product), X),
    "scaled twice": (grad(scaled_twice, (0, 1)), X, 3.0),
    "scan": (recurrence, 0.7, X),
    "scan, gradient": (grad(recurrence, (0, 1)), 0.7, X),
    "scan, second derivative": (hessian(recurrence), 0.7, X),
    "scan, backwards": (lambda xs: cr.scan(lambda c, x: (c * x, c), 1.0, xs, reverse=True), X),
    "while": (growth, 1.5),
    "while, tangent": (lambda x: jvp(growth, (x,), (1.0,)), 1.5),
    "while, gradient": (grad(growth), 1.5),
    "while, second derivative": (grad(grad(growth)), 1.5),
    "while, batch": (cr.vmap(growth), np.array([1.5, 1.1])),
    "cond": (piecewise, X),
    "cond, gradient": (grad(piecewise), -X),
    "cond, batch": (cr.vmap(grad(piecewise)), np.stack([X, -X])),
    "checkpoint": (grad(cr.checkpoint(lambda x: np.sum(np.exp(np.sin(x))))), X),
    "custom rule": (grad(lambda x: np.sum(softplus(x))), X),
    "solve": (grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2), (0, 1)), MATRIX, X),
    "svd": (grad(lambda a: np.sum(np.linalg.svd(a)[0])), MATRIX),
    "eigh": (grad(lambda a: np.sum(np.linalg.eigh(a @ a.T)[0] ** 3)), MATRIX),
    "fft": (grad(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 3)), X),
    "special": (grad(lambda x: np.sum(cr.special.erf(x) * cr.special.gammaln(x))), X),
    "jacobian": (cr.jacobian(lambda x: np.outer(x, x).ravel()), X),
    "hessian": (hessian(lambda x: np.prod(np.sin(x))), X),
    "float32": (grad(lambda x: np.sum(0.1 * x * np.sin(x) / 3)), X.astype(np.float32)),
    "complex": (grad(lambda z: np.sum(np.abs(z * (2 - 1j)) ** 2)), X + 1j),
    "integers": (lambda n: (n // 3) * 2 - n % 2, np.arange(5)),
    "an integer": (lambda n: n * n - 3, 7),
    "powers": (lambda x: (x**2, x**3, x**0.5, x**-1, 2**x, x**x), X),
    "powers of a number": (lambda x: (x**2, x**3, x**0.5, x**-1, 2**x, x**x, 1 / x), 0.7),
    "infinities": (lambda x: np.where(x > 0.5, np.inf, -np.inf) + np.nan * x, X),
    "views": (lambda x: (x[1:], x[::-1], x.reshape(3, 1), x), X),
    "constant": (lambda x: 3.0, X),
    "constant gradient": (grad(lambda x: 3.0 * x), 2.0),
    "nothing": (lambda x: None, X),
    "no axes": (lambda x: x + 1, np.array(2.0)),
    "empty": (lambda x: x.sum() + 1, np.zeros(0)),
    "objects": (on_line, Line(X, 2.0), X),
    "several arguments": (lambda *xs: xs[0] * xs[1], X, X),
    "training step": (train, {"w": X, "steps": 0}, X, 0.1),
    "written arguments": (exchange, X, 2 * X),
    "random numbers": (lambda x, rng: x + rng.normal(size=3), X, cr.random.Generator(5)),
    "rejection sampling": (lambda a, rng: rng.gamma(a), X, cr.random.Generator(5)),
    "sorting": (grad(lambda x: np.sum(np.sort(x) * np.arange(3))), X),
    "indices": (grad(lambda x, i: np.sum(x[i] ** 2)), X, np.array([0, 2, 0])),
    "broadcast": (grad(lambda x, y: np.sum(x[:, None] * y + x[0])), X, np.ones((3, 2))),
    "einsum": (grad(lambda a, b: np.sum(np.einsum("bij,bjk->bik", a, b) ** 2)),
               np.ones((2, 3, 4)), np.ones((2, 4, 5))),
}  # fmt: skip
