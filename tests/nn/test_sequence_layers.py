"""Embedding, LSTM and attention: values by plain NumPy, derivatives, compiled training steps."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.nn.builders import build, described

rng = np.random.default_rng(8)
X = rng.normal(size=(2, 6, 4))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(layer, x, h, c):
    outputs, u = [], layer.recurrent.shape[0]
    for t in range(x.shape[-2]):
        a = x[..., t, :] @ layer.weight + h @ layer.recurrent + layer.bias
        c = sigmoid(a[..., u : 2 * u]) * c + sigmoid(a[..., :u]) * np.tanh(a[..., 2 * u : 3 * u])
        h = sigmoid(a[..., 3 * u :]) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=-2), h, c


def test_an_lstm_is_its_recursion_step_by_step():
    layer = nn.LSTM(4, 3, dtype="d", rng=1)
    layer.bias += rng.normal(size=12)
    zero = np.zeros((2, 3))
    wanted, h, c = lstm_by_hand(layer, X, zero, zero)
    outputs, state = layer.unrolled(X)
    np.testing.assert_allclose(outputs, wanted, rtol=1e-12)
    np.testing.assert_allclose(np.stack(state), np.stack([h, c]), rtol=1e-12)
    np.testing.assert_array_equal(layer(X), outputs)
    np.testing.assert_allclose(cr.compile(layer.__call__)(X), wanted, rtol=1e-12)


def test_an_lstm_begins_with_a_long_memory():
    layer = nn.LSTM(4, 3, forget_bias=2.0)
    assert layer.bias.tolist() == [0] * 3 + [2] * 3 + [0] * 6
    for gate in np.split(layer.recurrent, 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(3), atol=1e-6)


def test_a_sequence_read_in_pieces_is_the_sequence():
    layer = nn.LSTM(4, 3, last=True, dtype="d")
    first, state = layer.unrolled(X[:, :2])
    second, (h, _) = layer.unrolled(X[:, 2:], state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), layer.unrolled(X)[0], rtol=1e-12)
    np.testing.assert_allclose(layer(X), h, rtol=1e-12)


def attention_by_hand(layer, x, y, seen):
    heads = layer.config()["heads"]
    q, k, v = layer.query(x), layer.key(y), layer.value(y)
    d = q.shape[-1] // heads
    out = np.zeros_like(q)
    for n in range(x.shape[0]):
        for head in range(heads):
            part = slice(head * d, (head + 1) * d)
            for t in range(x.shape[1]):
                places = [s for s in range(y.shape[1]) if seen[n, t, s]]
                scores = [q[n, t, part] @ k[n, s, part] / np.sqrt(d) for s in places]
                weights = np.exp(scores) / np.sum(np.exp(scores))
                for weight, s in zip(weights, places, strict=True):
                    out[n, t, part] += weight * v[n, s, part]
    return layer.output(out)


def test_attention_is_its_sums_written_out():
    layer = nn.MultiHeadAttention(4, 2, dtype="d", rng=1)
    everything = np.ones((2, 6, 6), bool)
    np.testing.assert_allclose(layer(X), attention_by_hand(layer, X, X, everything), rtol=1e-11)
    y = rng.normal(size=(2, 5, 4))
    wanted = attention_by_hand(layer, X, y, np.ones((2, 6, 5), bool))
    np.testing.assert_allclose(layer(X, context=y), wanted, rtol=1e-11)


def test_masked_and_causal_attention_read_only_what_they_may():
    mask = rng.random((2, 6, 6)) < 0.5
    mask[0, 1] = False  # reads nothing
    layer = nn.MultiHeadAttention(4, 2, dtype="d", rng=1)
    wanted = attention_by_hand(layer, X, X, mask)
    np.testing.assert_allclose(layer(X, mask=mask), wanted, rtol=1e-11)
    np.testing.assert_allclose(layer(X, mask=mask[0]), attention_by_hand(
        layer, X, X, np.stack([mask[0], mask[0]])), rtol=1e-11)  # fmt: skip
    causal = nn.MultiHeadAttention(4, 2, causal=True, dtype="d", rng=1)
    before = np.tri(6, dtype=bool)
    wanted = attention_by_hand(layer, X, X, mask & before)
    np.testing.assert_allclose(causal(X, mask=mask), wanted, rtol=1e-11)
    wanted = attention_by_hand(layer, X, X, np.stack([before, before]))
    np.testing.assert_allclose(causal(X), wanted, rtol=1e-11)


def test_dropout_in_attention_acts_while_training():
    layer = nn.MultiHeadAttention(4, 2, dropout=0.5, dtype="d", rng=1)
    plain = nn.MultiHeadAttention(4, 2, dtype="d", rng=1)
    np.testing.assert_array_equal(layer(X), plain(X))
    draw = layer(X, training=True, rng=cr.random.default_rng(0))
    assert np.abs(draw - plain(X)).max() > 0.1


def test_an_embedding_takes_rows_and_gives_gradients_to_them_alone():
    layer = nn.Embedding(7, 3, dtype="d", rng=1)
    tokens = np.array([[1, 2, 1], [0, 6, 6]])
    np.testing.assert_array_equal(layer(tokens), layer.weight[tokens])
    grads = cr.grad(lambda m: np.sum(m(tokens)))(layer)
    counts = np.bincount(tokens.ravel(), minlength=7)
    np.testing.assert_array_equal(grads.weight, np.repeat(counts[:, None], 3, axis=1))
    assert nn.Embedding(1000, 64).weight.std() == pytest.approx(1 / 8, rel=0.01)


LAYERS = {
    "lstm": lambda: nn.LSTM(4, 2, last=True, dtype="d"),
    "attention": lambda: nn.MultiHeadAttention(4, 2, causal=True, bias=False, dtype="d"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_are_true_and_descriptions_build_the_layer_again(name):
    layer = LAYERS[name]()

    def filled(arrays):
        made = build(described(layer))
        for (path, _), array in zip(layer.named_parameters(), arrays, strict=True):
            *inside, last = path.split(".")
            setattr(getattr(made, inside[0]) if inside else made, last, array)
        return made

    np.testing.assert_array_equal(filled(layer.parameters())(X), layer(X))
    cr.testing.check_derivatives(
        lambda x, *arrays: filled(arrays)(x), (X, *layer.parameters()), rtol=1e-5
    )


def test_they_learn_together_in_a_compiled_step():
    class Reader(nn.Module):
        def __init__(self):
            self.embed = nn.Embedding(5, 8, rng=1)
            self.attend = nn.MultiHeadAttention(8, 2, causal=True, rng=2)
            self.read = nn.LSTM(8, 8, last=True, rng=3)
            self.out = nn.Linear(8, 2, rng=4)

        def __call__(self, x, training=False, rng=None):
            seen = self.embed(x)
            return self.out(self.read(seen + self.attend(seen)))

    tokens = rng.integers(0, 5, size=(16, 6))
    labels = (tokens[:, 0] > 2).astype(np.int64)  # the first token, five steps ago
    model = Reader()
    optimizer = optim.Adam(model, step_size=0.02)

    def loss(model):
        return nn.losses.softmax_cross_entropy(model(tokens), labels)

    @cr.compile(kinks="convention", stabilize=False)
    def step(model, optimizer):
        value, grads = cr.value_and_grad(loss)(model)
        optimizer.step(model, grads)
        return value

    losses = [step(model, optimizer) for _ in range(60)]
    assert losses[0] > 0.5 and losses[-1] < 0.02
    assert losses[0].dtype == np.float32


def test_what_does_not_fit_is_refused():
    with pytest.raises(errors.DtypeError, match=r"whole numbers, got float32.*astype"):
        nn.Embedding(3, 2)(np.ones(3, np.float32))
    with pytest.raises(IndexError):
        nn.Embedding(3, 2)(np.array([3]))
    for kind in (np.int8, np.int64):  # the mark of a padding, say, is not the last one of many
        with pytest.raises(IndexError):
            nn.Embedding(200, 2)(np.array([-1], kind))
        with pytest.raises(IndexError):
            cr.compile(nn.Embedding(200, 2))(np.array([3, -1], kind))
    with pytest.raises(errors.ShapeError, match=r"LSTM takes \(..., T, 3\)"):
        nn.LSTM(3, 2)(np.ones((5, 4)))
    with pytest.raises(ValueError, match="heads that divide"):
        nn.MultiHeadAttention(4, 3)
    with pytest.raises(errors.ShapeError, match=r"booleans of shape \(6, 6\)"):
        nn.MultiHeadAttention(4, 2)(X, mask=np.ones((2, 6), bool))
