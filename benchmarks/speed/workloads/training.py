"""Training steps with Adam, in each library's best form, for any loss.

A workload brings `loss(parameters, x, y)` for each library, and inputs: `parameters`, a list of
arrays, and `xs`, `ys`, some mini-batches, stacked. One unit of work is one step: the gradient of
the loss on one batch, then Adam's update (Kingma & Ba, 2015) of all parameters in place.

All contenders must agree, after three steps from the same start, on the three losses and on how
far each parameter has moved.
"""

from __future__ import annotations

from itertools import cycle

import numpy as np

from benchmarks.speed.contender import Contender

# Libraries differ in whether Adam adds its small number before or after the correction for the
# first steps. With one as small as this that is no difference, so that all can be compared.
RATE, DECAY, DECAY_OF_SQUARES, SMALL = 1e-3, 0.9, 0.999, 1e-12
CHECKED = 3  # steps that are compared

# For deep networks in float32: Adam's first steps are full ones whatever the gradient's size, so
# that a gradient of rounding errors moves a parameter as far as any. Between JAX and torch that was
# 6 % of a ResNet-8's ways, its third loss differing by 2e-5.
LOOSE = 0.15


def zeros_like(parameters: list) -> list:
    return [np.zeros_like(p) for p in parameters]


def moved(losses, parameters, start) -> list:
    """What contenders must agree on: the losses, and each parameter's way."""
    return [np.array(losses), *(np.array(p) - q for p, q in zip(parameters, start, strict=True))]


# --- chainrule ------------------------------------------------------------------------------------


def adam_step(loss):
    """The step as a user writes it: NumPy arrays, updated in place."""
    import chainrule as cr

    gradient = cr.value_and_grad(loss)

    def step(parameters, means, squares, count, x, y):
        value, gradients = gradient(parameters, x, y)
        count[...] += 1
        rate = RATE * np.sqrt(1 - DECAY_OF_SQUARES**count) / (1 - DECAY**count)
        for p, g, m, v in zip(parameters, gradients, means, squares, strict=True):
            m += (1 - DECAY) * (g - m)
            v += (1 - DECAY_OF_SQUARES) * (g * g - v)
            p -= rate * m / (np.sqrt(v) + SMALL)
        return value

    return step


def adam_steps(loss):
    """Many steps in one call: a scan over the batches, whose body updates the parameters."""
    import chainrule as cr

    step = adam_step(loss)

    def steps(parameters, means, squares, count, xs, ys):
        def body(carry, batch):
            return carry, step(parameters, means, squares, count, *batch)

        return cr.scan(body, 0.0, (xs, ys))[1]

    return steps


def _adam_state(inputs) -> tuple:
    parameters = [p.copy() for p in inputs["parameters"]]
    count = np.zeros((), parameters[0].dtype)
    return parameters, zeros_like(parameters), zeros_like(parameters), count


def chainrule_step(loss):
    """A builder: one compiled step a call."""

    def build(inputs) -> Contender:
        import chainrule as cr

        step = cr.compile(adam_step(loss))
        state = _adam_state(inputs)
        batches = cycle(list(zip(inputs["xs"], inputs["ys"], strict=True)))

        def check():
            start = _adam_state(inputs)
            pairs = zip(inputs["xs"][:CHECKED], inputs["ys"][:CHECKED], strict=True)
            return moved([step(*start, x, y) for x, y in pairs], start[0], inputs["parameters"])

        return Contender(lambda: step(*state, *next(batches)), check)

    return build


def chainrule_scan(loss):
    """A builder: as many steps a call as there are batches."""

    def build(inputs) -> Contender:
        import chainrule as cr

        steps = cr.compile(adam_steps(loss))
        state, xs, ys = _adam_state(inputs), inputs["xs"], inputs["ys"]

        def check():
            start = _adam_state(inputs)
            losses = steps(*start, xs[:CHECKED], ys[:CHECKED])
            return moved(losses, start[0], inputs["parameters"])

        return Contender(lambda: steps(*state, xs, ys), check, len(xs))

    return build


# --- jax ------------------------------------------------------------------------------------------


def _jax_step(loss):
    import jax

    def step(state, batch):
        parameters, means, squares, count = state
        value, gradients = jax.value_and_grad(loss)(parameters, *batch)
        count = count + 1
        rate = RATE * jax.numpy.sqrt(1 - DECAY_OF_SQUARES**count) / (1 - DECAY**count)
        means = [m + (1 - DECAY) * (g - m) for m, g in zip(means, gradients, strict=True)]
        squares = [
            v + (1 - DECAY_OF_SQUARES) * (g * g - v)
            for v, g in zip(squares, gradients, strict=True)
        ]
        parameters = [
            p - rate * m / (jax.numpy.sqrt(v) + SMALL)
            for p, m, v in zip(parameters, means, squares, strict=True)
        ]
        return (parameters, means, squares, count), value

    return step


def _jax_state(inputs):
    import jax

    return jax.tree.map(lambda x: jax.numpy.array(x, copy=True), _adam_state(inputs))


def jax_step(loss):
    """A builder: one jitted step a call, its state donated."""

    def build(inputs) -> Contender:
        import jax

        step = jax.jit(_jax_step(loss), donate_argnums=0)
        pairs = [jax.device_put(pair) for pair in zip(inputs["xs"], inputs["ys"], strict=True)]
        batches, state = cycle(pairs), [_jax_state(inputs)]

        def call():
            state[0], value = step(state[0], next(batches))
            return jax.block_until_ready((state[0], value))

        def check():
            now, losses = _jax_state(inputs), []
            for pair in pairs[:CHECKED]:
                now, value = step(now, pair)
                losses.append(value)
            return moved(losses, now[0], inputs["parameters"])

        return Contender(call, check)

    return build


def jax_scan(loss):
    """A builder: lax.scan over the batches, jitted, its state donated."""

    def build(inputs) -> Contender:
        import jax

        steps = jax.jit(
            lambda state, xs, ys: jax.lax.scan(_jax_step(loss), state, (xs, ys)), donate_argnums=0
        )
        xs, ys = jax.device_put((inputs["xs"], inputs["ys"]))
        state = [_jax_state(inputs)]

        def call():
            state[0], values = steps(state[0], xs, ys)
            return jax.block_until_ready((state[0], values))

        def check():
            now, losses = steps(_jax_state(inputs), xs[:CHECKED], ys[:CHECKED])
            return moved(losses, now[0], inputs["parameters"])

        return Contender(call, check, len(xs))

    return build


# --- torch ----------------------------------------------------------------------------------------


def torch_step(loss, layout=None):
    """A builder: eager autograd and the fused Adam.

    `layout` gives torch's own layout where it differs from the inputs' (convolutions): functions of
    an array for parameters, of a tensor for parameters back, and of an array for the batches' x.
    """

    def build(inputs) -> Contender:
        import torch

        there, *others = layout or (torch.tensor, lambda p: p, torch.tensor)

        def start():
            parameters = [there(p).requires_grad_() for p in inputs["parameters"]]
            options = dict(betas=(DECAY, DECAY_OF_SQUARES), eps=SMALL, fused=True)
            return parameters, torch.optim.Adam(parameters, RATE, **options)

        def step(state, x, y):
            value = loss(state[0], x, y)
            state[1].zero_grad()
            value.backward()
            state[1].step()
            return value

        return _torch_contender(inputs, start, step, *others)

    return build


def torch_compile(loss, layout=None):
    """A builder: gradient and update in one function, compiled whole."""

    def build(inputs) -> Contender:
        import torch

        there, *others = layout or (torch.tensor, lambda p: p, torch.tensor)
        gradient = torch.func.grad_and_value(loss)

        def start():
            parameters = [there(p) for p in inputs["parameters"]]
            zeros = [[torch.zeros_like(p) for p in parameters] for _ in range(2)]
            return parameters, *zeros, torch.zeros(())

        @torch.compile(fullgraph=True)
        def compiled(parameters, means, squares, count, x, y):
            gradients, value = gradient(parameters, x, y)
            count.add_(1)
            rate = RATE * torch.sqrt(1 - DECAY_OF_SQUARES**count) / (1 - DECAY**count)
            for p, g, m, v in zip(parameters, gradients, means, squares, strict=True):
                m.add_((1 - DECAY) * (g - m))
                v.add_((1 - DECAY_OF_SQUARES) * (g * g - v))
                p.sub_(rate * m / (torch.sqrt(v) + SMALL))
            return value

        def step(state, x, y):
            with torch.no_grad():
                return compiled(*state, x, y)

        return _torch_contender(inputs, start, step, *others)

    return build


def _torch_contender(inputs, start, step, back, there) -> Contender:
    import torch

    pairs = [(there(x), torch.tensor(y)) for x, y in zip(inputs["xs"], inputs["ys"], strict=True)]
    batches, state = cycle(pairs), start()

    def check():
        fresh = start()
        losses = [step(fresh, x, y).detach() for x, y in pairs[:CHECKED]]
        parameters = [back(p.detach()).numpy() for p in fresh[0]]
        return moved(losses, parameters, inputs["parameters"])

    return Contender(lambda: step(state, *next(batches)), check)


# --- autograd -------------------------------------------------------------------------------------


def autograd_step(loss):
    """A builder: autograd's gradient, and Adam in place on NumPy arrays."""

    def build(inputs) -> Contender:
        import autograd

        gradient = autograd.value_and_grad(loss)

        def step(parameters, means, squares, count, x, y):
            value, gradients = gradient(parameters, x, y)
            count += 1
            rate = RATE * np.sqrt(1 - DECAY_OF_SQUARES**count) / (1 - DECAY**count)
            for p, g, m, v in zip(parameters, gradients, means, squares, strict=True):
                m += (1 - DECAY) * (g - m)
                v += (1 - DECAY_OF_SQUARES) * (g * g - v)
                p -= rate * m / (np.sqrt(v) + SMALL)
            return value

        pairs = list(zip(inputs["xs"], inputs["ys"], strict=True))
        batches, state = cycle(pairs), _adam_state(inputs)

        def check():
            fresh = _adam_state(inputs)
            losses = [step(*fresh, x, y) for x, y in pairs[:CHECKED]]
            return moved(losses, fresh[0], inputs["parameters"])

        return Contender(lambda: step(*state, *next(batches)), check)

    return build
