"""Skip connections, tied weights, residual and dense blocks, against NumPy written by hand."""

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.nn.builders import build, described

rng = np.random.default_rng(4)
X = rng.normal(size=(5, 3))
IMAGES = rng.normal(size=(2, 6, 6, 4))


def relu(x):
    return np.maximum(x, 0)


def norm(layer, x):
    """Batch norm at inference."""
    return (x - layer.running_mean) / np.sqrt(layer.running_variance + 1e-5) * layer.scale + (
        layer.shift
    )


def stirred(model):
    """The model with parameters and running statistics that are all different."""
    for _, array in [*model.named_parameters(), *model.named_state()]:
        array[...] = np.abs(array) + 0.3 * rng.random(array.shape)
    return model


# --- stacks --------------------------------------------------------------------------------------


def test_a_stack_adds_earlier_values_to_later_ones():
    a, b, c = (nn.Linear(3, 3, dtype="d", rng=i) for i in range(3))
    stack = nn.Stack(a, np.tanh, b, c, skips=[(0, 3), (2, 4), (0, 4)])
    second = np.tanh(a(X))
    third = b(second) + X
    np.testing.assert_allclose(stack(X), c(third) + second + X, rtol=1e-13)


def test_a_stack_concatenates_on_the_last_axis():
    a, b, c = nn.Linear(3, 2, dtype="d"), nn.Linear(5, 4, dtype="d"), nn.Linear(6, 1, dtype="d")
    stack = nn.Stack(a, b, c, skips=[(0, 1), (1, 2)], join="concatenate")
    stack.layers[2] = c = nn.Linear(9, 1, dtype="d")
    first = np.concatenate([a(X), X], axis=1)
    np.testing.assert_allclose(stack(X), c(np.concatenate([b(first), first], 1)), rtol=1e-13)
    mixed = nn.Stack(a, nn.Linear(2, 2, dtype="d"), skips=[(1, 2), (0, 2, "concatenate")])
    assert mixed(X).shape == (5, 5)


def test_skips_that_do_not_fit_are_named():
    stack = nn.Stack(nn.Linear(3, 4, rng=0), skips=[(0, 1)])
    with pytest.raises(errors.ShapeError, match=(
        r"skip \(0, 1\) joins the input, of shape \(5, 3\), to layer 1 \(Linear\(3, 4\)\), of "
        r"shape \(5, 4\): 'add' needs equal shapes"
    )):  # fmt: skip
        stack(X)
    for skips in ([(1, 1)], [(0, 2)], [(-1, 1)], [(0, 1, "multiply")]):
        with pytest.raises(ValueError, match="a skip is"):
            nn.Stack(nn.Linear(3, 3), skips=skips)
    with pytest.raises(ValueError, match="stands twice"):
        nn.Stack(nn.Linear(3, 3), skips=[(0, 1), (0, 1)])


def test_an_mlp_with_skips_sizes_its_layers_for_them():
    net = nn.SkipMLP(3, (4, 4, 4), 2, skips=[(0, 2), (1, 3, "add"), (2, 3)], dtype="d", rng=1)
    one, two, three, out = net.layers
    first = one(X)
    second = np.concatenate([two(first), X], axis=1)
    third = np.concatenate([three(second) + first, second], axis=1)
    np.testing.assert_allclose(net(X), out(third), rtol=1e-13)
    with pytest.raises(ValueError, match=r"\(0, 1\) adds 3 values to 4"):
        nn.SkipMLP(3, (4,), 2, skips=[(0, 1)], join="add")


# --- tied weights --------------------------------------------------------------------------------


def test_tied_weights_are_one_array_with_the_sum_of_both_gradients():
    model = nn.Sequential(nn.Linear(3, 2, dtype="d", rng=0), nn.tanh, nn.Tied(0, 3, dtype="d"))
    names = [path for path, _ in model.named_parameters()]
    assert names == ["layers[0].weight", "layers[0].bias", "layers[2].bias"]
    w, b, c = model.parameters()
    np.testing.assert_allclose(model(X), np.tanh(X @ w + b) @ w.T + c, rtol=1e-13)

    def plain(w, v):
        return np.sum((np.tanh(X @ w + b) @ v.T + c - X) ** 2)

    grads = cr.grad(lambda m: np.sum((m(X) - X) ** 2))(model)
    both = cr.grad(plain, (0, 1))(w, w)
    np.testing.assert_allclose(grads.layers[0].weight, both[0] + both[1], rtol=1e-12)
    again = build(json.loads(json.dumps(described(model))))
    for a, p in zip(again.parameters(), model.parameters(), strict=True):
        a[...] = p
    np.testing.assert_array_equal(again(X), model(X))


def test_scores_may_be_read_with_an_embeddings_weights():
    model = nn.Sequential(nn.Embedding(7, 3, dtype="d"), nn.Tied(0, 7, bias=False, dtype="d"))
    tokens = np.array([1, 6])
    weight = model.layers[0].weight
    np.testing.assert_allclose(model(tokens), weight[tokens] @ weight.T, rtol=1e-13)


def test_what_cannot_be_tied_is_refused():
    with pytest.raises(errors.StructureMismatch, match="no weights of its own"):
        nn.Tied(0, 3)(X)
    with pytest.raises(errors.StructureMismatch, match="names layer 1 of 2"):
        nn.Sequential(nn.Linear(3, 2), nn.Tied(1, 3))(X)
    with pytest.raises(errors.ShapeError, match=r"\(5, 2\) by weights \(2, 3\)"):
        nn.Sequential(nn.Linear(3, 2), nn.Tied(0, 4))(X)
    layer = nn.Linear(3, 3)
    shared = nn.Sequential(layer, layer)
    for use in (described, optim.SGD):
        with pytest.raises(errors.StructureMismatch, match=r"layers\[0\].* are one array"):
            use(shared)


# --- residual blocks -----------------------------------------------------------------------------


def test_the_courses_block_is_its_formula():
    block = stirred(nn.ResidualBlock(3, 4, dtype="d", rng=1))
    w1, b1, w2, b2 = block.parameters()
    np.testing.assert_allclose(block(X), relu(X + relu(X @ w1 + b1) @ w2 + b2), rtol=1e-13)


def test_batch_norm_and_pre_activation_are_their_formulas():
    for form, formula in (
        ("batch_norm", lambda f, s, n, m: relu(X + norm(m, s(relu(norm(n, f(X))))))),
        ("pre_activation", lambda f, s, n, m: X + s(relu(norm(m, f(relu(norm(n, X))))))),
    ):
        block = stirred(nn.ResidualBlock(3, 4, form=form, dtype="d", rng=1))
        wanted = formula(block.first, block.second, block.first_norm, block.second_norm)
        np.testing.assert_allclose(block(X), wanted, rtol=1e-13)


@pytest.mark.parametrize("form", ["plain", "batch_norm", "pre_activation"])
def test_a_block_without_second_weights_is_the_identity(form):
    block = nn.ResidualBlock(3, form=form, dtype="d", rng=1)
    block.second.weight[...] = 0
    for x in (np.abs(X), X) if form == "pre_activation" else (np.abs(X),):
        np.testing.assert_allclose(block(x), x, atol=1e-15)
    start = nn.ResidualBlock(3, form=form, identity_start=True, dtype="d", rng=1)
    np.testing.assert_array_equal(start(np.abs(X)), np.abs(X))


def test_unequal_sizes_are_refused():
    with pytest.raises(ValueError, match=r"of size 3.*of size 4.*Linear\(3, 4\)"):
        nn.ResidualBlock(3, 5, 4)
    with pytest.raises(errors.ShapeError, match=r"Residual adds its input, of shape \(5, 3\)"):
        nn.Residual(nn.Linear(3, 4))(X)
    with pytest.raises(ValueError, match=r"of 4 channels.*of 8 channels and strides 2"):
        nn.ResidualBlock2d(4, 8, strides=2, shortcut="none")
    with pytest.raises(ValueError, match="form is one of"):
        nn.ResidualBlock(3, form="post")


def test_blocks_of_images_are_their_formulas():
    block = stirred(nn.ResidualBlock2d(4, 6, strides=2, dtype="d", rng=1))
    inner = norm(block.second_norm, block.second(relu(norm(block.first_norm, block.first(IMAGES)))))
    project, projected = block.shortcut.layers
    short = norm(projected, IMAGES[:, ::2, ::2] @ project.weight[0, 0])
    np.testing.assert_allclose(block(IMAGES), relu(short + inner), rtol=1e-12)

    block = stirred(nn.ResidualBlock2d(4, 7, strides=2, shortcut="zeros", form="plain", dtype="d"))
    short = np.pad(IMAGES[:, ::2, ::2], [(0, 0)] * 3 + [(1, 2)])
    wanted = relu(short + block.second(relu(block.first(IMAGES))))
    np.testing.assert_allclose(block(IMAGES), wanted, rtol=1e-12)

    block = stirred(nn.ResidualBlock2d(4, 6, form="pre_activation", dtype="d", rng=1))
    a = relu(norm(block.first_norm, IMAGES))
    inner = block.second(relu(norm(block.second_norm, block.first(a))))
    wanted = a @ block.shortcut.layers[0].weight[0, 0] + inner
    np.testing.assert_allclose(block(IMAGES), wanted, rtol=1e-12)

    block = stirred(nn.Bottleneck2d(4, 2, strides=2, dtype="d", rng=1))
    a = IMAGES
    for i in range(3):
        a = norm(block.norms[i], block.convolutions[i](a))
        a = relu(a) if i < 2 else a
    project, projected = block.shortcut.layers
    short = norm(projected, IMAGES[:, ::2, ::2] @ project.weight[0, 0])
    np.testing.assert_allclose(block(IMAGES), relu(short + a), rtol=1e-12)


# --- dense blocks --------------------------------------------------------------------------------


def test_a_dense_block_of_five_layers_and_growth_4_is_its_definition():
    block = stirred(nn.DenseBlock(3, 4, 5, dtype="d", rng=1))
    given = [X]
    for number, layer in enumerate(block.layers, start=1):
        seen = np.concatenate(given, axis=1)
        assert seen.shape[1] == 3 + 4 * (number - 1)
        (weights,), (own,) = layer.weights, layer.norms
        given.append(relu(norm(own, seen)) @ weights.weight)
    assert block.outputs == 3 + 4 * 5
    np.testing.assert_allclose(block(X), np.concatenate(given, axis=1), rtol=1e-12)


def test_dense_blocks_of_images_have_bottlenecks_and_transitions():
    block = stirred(nn.DenseBlock(4, 2, 2, window=3, bottleneck=4, dtype="d", rng=1))
    given = IMAGES
    for layer in block.layers:
        narrow, wide = layer.weights
        assert narrow.weight.shape == (1, 1, given.shape[-1], 8)
        assert wide.weight.shape == (3, 3, 8, 2)
        first = relu(norm(layer.norms[0], given)) @ narrow.weight[0, 0]
        new = nn.convolution(relu(norm(layer.norms[1], first)), wide.weight, padding="same")
        given = np.concatenate([given, new], axis=-1)
    np.testing.assert_allclose(block(IMAGES), given, rtol=1e-12)

    move = stirred(nn.Transition(4, 2, dtype="d", rng=1))
    flat = relu(norm(move.norm, IMAGES)) @ move.weights.weight[0, 0]
    wanted = flat.reshape(2, 3, 2, 3, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(move(IMAGES), wanted, rtol=1e-12)


BLOCKS = {
    "stack": lambda: nn.Stack(nn.Linear(3, 3, dtype="d"), nn.tanh, skips=[(0, 2)]),
    "residual": lambda: nn.Residual(nn.Linear(3, 3, dtype="d"), nn.Activation("tanh")),
    "block": lambda: nn.ResidualBlock(3, activation="tanh", form="batch_norm", dtype="d"),
    "dense": lambda: nn.DenseBlock(3, 2, 2, activation="tanh", dtype="d"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_derivatives_are_true_and_descriptions_build_the_block_again(name):
    model = stirred(BLOCKS[name]())
    again = build(json.loads(json.dumps(described(model))))
    pairs = zip(
        [*again.named_parameters(), *again.named_state()],
        [*model.named_parameters(), *model.named_state()], strict=True,
    )  # fmt: skip
    for (path, a), (other, b) in pairs:
        assert path == other
        a[...] = b
    np.testing.assert_array_equal(model(X), again(X))
    cr.testing.check_derivatives(model, (X,), rtol=1e-5)

    def moved(t):
        for p, start, way in zip(again.parameters(), model.parameters(), ways, strict=True):
            p[...] = start + t * way
        return np.sum(again(X) ** 2)

    grads = cr.grad(lambda m: np.sum(m(X) ** 2))(model).parameters()
    ways = [rng.normal(size=g.shape) for g in grads]
    found = sum(np.sum(g * way) for g, way in zip(grads, ways, strict=True))
    wanted, error = cr.testing.differences(moved, first=0.01)
    assert abs(found - wanted) <= 1e-6 * abs(wanted) + 10 * error
