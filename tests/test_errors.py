"""Errors: never a silent constant, always the user's line and the way out."""

import copy
import inspect
import math
import pickle
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors

X = np.array([1.0, 2.0])


def message_of(error_class, f, *args, derivative=cr.grad, builtin=None) -> str:
    """The message of the error that differentiating f raises, which names f's line."""
    with pytest.raises(error_class) as caught:
        derivative(f)(*args)
    assert isinstance(caught.value, errors.ChainruleError)
    if builtin is not None:
        assert isinstance(caught.value, builtin)
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def line_of(f) -> str:
    """`test_errors.py:12` for a function written on one line."""
    return f"test_errors.py:{f.__code__.co_firstlineno}"


# --- a constant in place of a traced value -------------------------------------------------------


OUTSIDE = np.zeros(2)
# not looked up by their names: the originals
KEPT = {"sin": math.sin, "exp": np.exp, "float": float, "complex": complex}


def fill(x):
    buffer = OUTSIDE
    buffer[0] = x[0]
    return buffer.sum()


CONSTANTS = {
    "float": (lambda x: KEPT["float"](x[0]) * x[1], "float(x)", "stop_gradient"),
    "complex": (lambda x: KEPT["complex"](x[0]) * 1.0, "complex(x)", "stop_gradient"),
    "math": (lambda x: KEPT["sin"](x[0]), "float(x)", "math.sin(x)"),
    "ufunc of a list": (lambda x: KEPT["exp"]([x[0], x[1]]).sum(), "x.__array__()",
                        "np.array([x, y])"),
    "method of a plain array": (lambda x: OUTSIDE.dot(x), "x.__array__()", "np.dot"),
    "fill": (lambda x: OUTSIDE.fill(x[0]), "float(x)", "cr.numpy.zeros"),
    "numpy.random": (lambda x: np.random.default_rng(0).normal(x[0]), "x.__array__()",
                     "stop_gradient"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_traced_value_never_becomes_a_constant(name):
    f, asked, way_out = CONSTANTS[name]
    message = message_of(errors.ConcreteValueNeeded, f, X, builtin=TypeError)
    assert message.startswith(f"{asked} needs the value of a traced f64")
    assert f"at {line_of(f)}: a derivative with respect to it would be silently lost." in message
    assert way_out in message.split("\n", 1)[1]


@pytest.mark.parametrize("name", CONSTANTS)
def test_jvp_and_batched_derivatives_refuse_constants_as_well(name):
    f = CONSTANTS[name][0]
    message_of(errors.ConcreteValueNeeded, lambda x: cr.jvp(f, (x,), (x,)), X,
               derivative=lambda g: g)  # fmt: skip
    message_of(errors.ConcreteValueNeeded, f, X[None], derivative=lambda f: cr.vmap(cr.grad(f)))


def test_a_plain_array_from_outside_is_not_filled():
    message = message_of(errors.ConcreteValueNeeded, fill, X)
    line = fill.__code__.co_firstlineno + 2
    assert f"float(x) needs the value of a traced f64[], at test_errors.py:{line}" in message
    assert "make the buffer inside the function, or with cr.numpy.zeros" in message


def test_the_way_out_of_a_buffer_works():
    def f(x):
        buffer = cr.numpy.zeros(2)
        buffer[0] = x[0] * 3.0
        return buffer.sum() + cr.numpy.array([x[1], 1.0]).sum() + float(cr.stop_gradient(x[0]))

    assert np.array_equal(cr.grad(f)(X), [3.0, 1.0])


def test_a_refusal_that_the_function_hides_is_raised_at_the_end():
    def f(x):
        try:
            return KEPT["float"](x[0]) * x[1]
        except TypeError:
            return x[0] * 2.0

    with pytest.raises(errors.ConcreteValueNeeded, match=r"float\(x\)"):
        cr.grad(f)(X)


def plain_plus(x):
    buffer = OUTSIDE
    buffer += x
    return buffer.sum()


PLAIN_OUTPUTS = {
    "out=": (lambda x: np.sin(x, out=OUTSIDE).sum(), "np.sin", 0),
    "+=": (plain_plus, "np.add", 2),
    "copyto": (lambda x: np.copyto(OUTSIDE, x), "np.copyto", 0),
    "put": (lambda x: np.put(OUTSIDE, [0], x[0]), "np.put", 0),
}


@pytest.mark.parametrize("name", PLAIN_OUTPUTS)
def test_traced_values_are_not_written_to_plain_arrays(name):
    f, function, offset = PLAIN_OUTPUTS[name]
    message = message_of(errors.MutationError, f, X, builtin=ValueError)
    assert message.startswith(f"{function} would write traced values into a plain array")
    assert f"test_errors.py:{f.__code__.co_firstlineno + offset}" in message
    assert "cr.numpy.zeros" in message


def in_a_loop(f):
    """f in the body of a compiled loop, where no value is at hand."""
    return cr.compile(lambda *xs: cr.scan(lambda carry, x: (carry, f(*x)), 0.0, xs))


def test_without_a_value_at_hand_a_branch_is_refused():
    f = lambda x: x if x > 0 else -x
    message = message_of(errors.ConcreteValueNeeded, f, X, derivative=in_a_loop)
    assert "the truth value of a traced bool[] is needed at " + line_of(f) in message
    for way_out in ("np.where", "cr.cond", "cr.while_loop"):
        assert way_out in message


def test_without_a_value_at_hand_a_shape_is_refused():
    f = lambda x, n: x * len(range(n))
    message = message_of(errors.ConcreteValueNeeded, f, X, np.arange(2), derivative=in_a_loop)
    assert "the value of a traced integer is needed at " + line_of(f) in message


def test_with_a_value_at_hand_branches_and_indices_work():
    def f(x):
        if x[0] > 0 and x.sum() < 10:
            return x[np.argmax(x)] * len(range(np.argmax(x)))
        return x[0] * 0.0

    assert np.array_equal(cr.grad(f)(np.array([1.0, 2.0, 5.0])), [0.0, 0.0, 2.0])


def test_a_truth_value_of_many_is_ambiguous_as_in_numpy():
    with pytest.raises(ValueError, match="more than one element is ambiguous"):
        cr.grad(lambda x: x[0] if x > 0 else x[1])(X)


def test_a_traced_value_is_not_pickled():
    message_of(errors.ConcreteValueNeeded, lambda x: pickle.dumps(x), X)
    assert np.array_equal(cr.grad(lambda x: copy.deepcopy(x).sum())(X), [1.0, 1.0])


# --- leaks ---------------------------------------------------------------------------------------

kept: list = []


def keep(x):
    kept[:] = [x * 2.0]
    return x.sum()


USES = {
    "operator": lambda v: v + 1.0, "function": lambda v: np.sin(v), "method": lambda v: v.sum(),
    "index": lambda v: v[0], "write": lambda v: v.__setitem__(0, 1.0), "list": lambda v: list(v),
    "augmented": lambda v: v.__iadd__(1.0), "asarray": lambda v: np.asarray(v),
    "in another trace": lambda v: cr.grad(lambda x: (x * v).sum())(X),
    "argument of grad": lambda v: cr.grad(lambda x: x.sum())(v),
    "argument of jvp": lambda v: cr.jvp(lambda x: x, (v,), (X,)),
    "tangent of jvp": lambda v: cr.jvp(lambda x: x, (X,), (v,)),
    "argument of vmap": lambda v: cr.vmap(lambda x: x)(v),
    "truth": lambda v: bool(v), "float": lambda v: float(v),
    "cond": lambda v: cr.cond(True, lambda x: x + 1.0, lambda x: x, v),
    "scan": lambda v: cr.scan(lambda c, x: (c + x, c), 0.0, v),
    "vjp": lambda v: cr.vjp(lambda x: x, X)[1](v),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_a_value_used_after_its_trace_is_an_error(use):
    cr.grad(keep)(X)
    with pytest.raises(errors.LeakedValue) as caught:
        USES[use](kept[0])
    line = keep.__code__.co_firstlineno + 1
    message = str(caught.value)
    assert f"a value made at test_errors.py:{line} while tracing 'keep' is used at" in message
    assert line_of(USES[use]) in message
    assert "return the value from 'keep' instead" in message
    assert isinstance(caught.value, RuntimeError)


def test_a_leaked_value_can_be_shown():
    cr.grad(keep)(X)
    assert repr(kept[0]) == "Traced(f64[2])"
    assert kept[0].shape == (2,)


def test_a_value_leaked_by_a_generator_is_an_error():
    def steps(x):
        while True:
            x = x * 2.0
            yield x

    source: list = []

    def f(x):
        source.append(steps(x))
        return next(source[0])

    assert cr.grad(f)(1.0) == 2.0
    with pytest.raises(errors.LeakedValue):
        next(source[0])


def test_a_value_leaked_from_an_inner_trace_is_an_error():
    def f(x):
        inner: list = []
        cr.grad(lambda y: (inner.append(y * x), y)[1])(x)
        return inner[0] * x

    with pytest.raises(errors.LeakedValue):
        cr.grad(f)(2.0)


def test_a_value_leaked_from_a_loop_is_an_error():
    def f(x):
        inner: list = []

        def body(carry, _):
            inner.append(carry * 2.0)
            return carry * x, None

        cr.scan(body, x, None, length=3)
        return inner[-1]

    with pytest.raises(errors.LeakedValue):
        cr.grad(f)(2.0)


def test_a_value_left_by_a_function_that_raised_is_an_error():
    def broken(x):
        kept[:] = [x * 3.0]
        raise KeyError

    with pytest.raises(KeyError):
        cr.grad(broken)(1.0)
    with pytest.raises(errors.LeakedValue, match="while tracing 'broken'"):
        kept[0] + 1.0
    assert cr.grad(lambda x: x * x)(3.0) == 6.0


# --- threads -------------------------------------------------------------------------------------


def in_thread(work):
    """The result of a function run in a thread, or the exception that it raised."""
    box: list = []

    def run():
        try:
            box.append(work())
        except Exception as error:
            box.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return box[0]


def test_a_value_used_in_another_thread_is_an_error():
    def f(x):
        found = in_thread(lambda: x * 2.0)
        assert isinstance(found, errors.LeakedValue)
        assert "in another thread" in str(found)
        return x * 3.0

    assert cr.grad(f)(1.0) == 3.0


def test_a_trace_in_another_thread_does_not_disturb_this_one():
    def f(x):
        y = x * 2.0
        assert in_thread(lambda: cr.grad(lambda z: z**3)(2.0)) == 12.0
        return y * x

    assert cr.grad(f)(3.0) == 12.0


def test_threads_trace_at_once():
    barrier = threading.Barrier(4)
    failures: list = []

    def work(k):
        def f(x):
            barrier.wait(timeout=30)  # all four traces are open now
            y = np.sum(np.asarray(x) ** k)
            barrier.wait(timeout=30)
            return y * x[0]

        for _ in range(3):
            found = cr.grad(f)(X)
            wanted = k * X ** (k - 1.0) * X[0]
            wanted[0] += np.sum(X**k)
            if not np.allclose(found, wanted, rtol=1e-14):
                failures.append((k, found, wanted))

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)


def test_numpy_is_itself_again_when_no_trace_is_open():
    before = (np.asarray, np.array, np.full)
    cr.grad(lambda x: np.asarray(x).sum())(X)
    with pytest.raises(KeyError):
        cr.grad(lambda x: {}[0])(X)
    assert (np.asarray, np.array, np.full) == before
    assert not hasattr(np.array, "__wrapped__")


# --- arguments and results -----------------------------------------------------------------------


def loss(x):
    return x


NOT_DIFFERENTIABLE = {
    "int": (3, "argument 0 of loss is 3 of dtype int64"),
    "integer array": (np.arange(2), "argument 0 of loss is array([0, 1]) of dtype int64"),
    "bool": (True, "argument 0 of loss holds no arrays or numbers"),
    "text": ("a", "argument 0 of loss holds no arrays or numbers"),
    "None": (None, "argument 0 of loss holds no arrays or numbers"),
    "in a tree": ({"a": [1.0, 2]}, "argument 0['a'][1] of loss is 2 of dtype int64"),
    "objects": (np.array([None]), "of dtype object"),
}


@pytest.mark.parametrize("name", NOT_DIFFERENTIABLE)
def test_arguments_without_a_derivative_are_refused(name):
    argument, what = NOT_DIFFERENTIABLE[name]
    for derivative in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian):
        message = message_of(
            errors.NotDifferentiable, loss, argument, derivative=derivative, builtin=TypeError
        )
        assert what in message


def test_an_integer_argument_is_told_what_to_pass():
    message = message_of(errors.NotDifferentiable, loss, 3)
    assert "Pass a float (3.0 instead of 3, x.astype(float))" in message


def test_an_unsupported_dtype_is_named():
    message = message_of(errors.DtypeError, lambda x, t: x, 1.0, np.zeros(2, "M8[s]"))
    assert "argument t has dtype datetime64[s]; supported: bool, int8," in message


NOT_SCALAR = {
    "vector": (lambda x: x * 2.0, "it returned a f64[2]"),
    "one element": (lambda x: x[:1], "it returned a f64[1]"),
    "complex": (lambda x: x[0] * 2j, "it returned a c128[]"),
    "tuple": (lambda x: (x[0], x[1]), "it returned tuple(0: array, 1: array)"),
    "None": (lambda x: None, "it returned None"),
    "text": (lambda x: "a", "it returned 'a'"),
    "dict": (lambda x: {"loss": x[0]}, "it returned dict(loss: array)"),
}


@pytest.mark.parametrize("name", NOT_SCALAR)
def test_grad_needs_one_real_number(name):
    f, what = NOT_SCALAR[name]
    message = message_of(errors.NonScalarOutput, f, X, builtin=TypeError)
    assert "grad needs one real number from <lambda>; " + what in message
    assert "jacobian" in message


def test_a_vector_result_names_its_line_and_the_way_out():
    f = lambda x: x * 2.0
    message = message_of(errors.NonScalarOutput, f, X)
    assert f"(made at {line_of(f)})" in message
    assert ".sum() or .mean()" in message


@pytest.mark.parametrize("f", [lambda x: np.argmax(x), lambda x: x[0] > 1.0, lambda x: 3])
def test_integer_and_boolean_results_have_no_derivative(f):
    for derivative in (cr.grad, cr.jacobian):
        message = message_of(errors.NotDifferentiable, f, X, derivative=derivative)
        assert "an integer or boolean output has no derivative" in message


def test_has_aux_needs_a_pair():
    for f in (lambda x: x[0], lambda x: (x[0], 1, 2), lambda x: None):
        message = message_of(
            errors.StructureMismatch, f, X, derivative=lambda f: cr.grad(f, has_aux=True)
        )
        assert "with has_aux, <lambda> must return (value, aux)" in message


def test_argnums_must_exist():
    for argnums in (1, -2, (0, 5)):
        message = message_of(
            errors.StructureMismatch, loss, 1.0, derivative=lambda f: cr.grad(f, argnums)
        )
        assert "but loss was called with 1 positional arguments" in message


TREES = {
    "shape": ((X,), (np.ones(3),), "the tangent at [0] has shape (3,), its primal has shape (2,)"),
    "path": (({"a": [X, 1.0]},), ({"a": [X, np.ones(1)]},), "[0]['a'][1]"),
    "number": ((X, X), (X,), "(0, 1) and (0,)"),
    "missing key": (({"a": X, "b": X},), ({"a": X},), "('a', 'b') and ('a',)"),
    "other key": (({"a": X, "b": X},), ({"a": X, "c": X},), "('a', 'b') and ('a', 'c')"),
    "no tree": (({"a": X},), (X,), "dict"),
    "complex": ((X,), (X * 1j,), "a complex tangent was given for a real primal"),
    "no tuple": ((X,), X, "tangents must be a tuple with one entry per argument"),
}


@pytest.mark.parametrize("name", TREES)
def test_tangents_have_the_structure_of_their_primals(name):
    primals, tangents, what = TREES[name]
    with pytest.raises(errors.StructureMismatch) as caught:
        cr.jvp(lambda *x: x, primals, tangents)
    assert what in str(caught.value)


def test_an_integer_primal_has_no_tangent():
    with pytest.raises(errors.NotDifferentiable, match=r"the primal at \[1\] has dtype int64"):
        cr.jvp(lambda x, n: x * n, (X, 3), (X, 1.0))


def test_cotangents_have_the_structure_of_their_outputs():
    _, pull = cr.vjp(lambda x: (x, {"s": x.sum()}), X)
    for bad, what in (
        ((np.ones(3), {"s": 1.0}), r"the cotangent\[0\] has shape \(3,\), the output \(2,\)"),
        ((X, 1.0), "wrong structure"),
        ((X, {"t": 1.0}), "wrong structure"),
        ((X * 1j, {"s": 1.0}), "a complex cotangent was given for a real output"),
    ):
        with pytest.raises(errors.StructureMismatch, match=what):
            pull(bad)


# --- NumPy's own errors --------------------------------------------------------------------------

LIKE_NUMPY = {
    "broadcast": lambda x: x[:2] + x[:3],
    "broadcast in place": lambda x: x.__iadd__(x[:2]),
    "matmul": lambda x: x[:2] @ x[:3],
    "reshape": lambda x: x.reshape(3),
    "index": lambda x: x[9],
    "negative index": lambda x: x[-9],
    "index write": lambda x: x.__setitem__(9, 1.0),
    "too many indices": lambda x: x[0, 0],
    "axis": lambda x: x.sum(axis=3),
    "concatenate": lambda x: np.concatenate([x[:, None], x[None, :]]),
    "stack": lambda x: np.stack([x[:2], x[:3]]),
    "write": lambda x: x.__setitem__(slice(0, 2), x[:3]),
    "read-only": lambda x: np.broadcast_to(x, (2, 4)).__setitem__(0, 1.0),
    "integer out": lambda x: np.zeros_like(x, dtype=int).__iadd__(x),
    "boolean subtraction": lambda x: (x > 0) - (x > 1),
    "bits of floats": lambda x: x & x,
}


OTHER_WORDS = {  # NumPy lists the output's shape again
    "broadcast in place": "operands could not be broadcast together with shapes (4,) (2,)",
}


@pytest.mark.parametrize("name", LIKE_NUMPY)
def test_mistakes_raise_what_numpy_raises_in_its_words(name):
    f = LIKE_NUMPY[name]
    with pytest.raises(Exception) as plain:
        f(np.arange(4.0))
    expected = next(c for c in type(plain.value).__mro__ if c.__module__ == "builtins")
    with pytest.raises(errors.ChainruleError) as traced:
        cr.grad(lambda x: np.sum(f(x)))(np.arange(4.0))
    assert isinstance(traced.value, expected)
    assert line_of(f) in str(traced.value)
    found, wanted = (str(e.value).split(", at test")[0].strip() for e in (traced, plain))
    if name in OTHER_WORDS:
        assert found.startswith(OTHER_WORDS[name])
    else:
        assert found == wanted


def test_broadcasting_errors_are_worded_as_numpys():
    with pytest.raises(ValueError) as plain:
        np.ones(3) + np.ones(4)
    with pytest.raises(errors.ShapeError) as traced:
        cr.grad(lambda x: np.sum(x + np.ones(4)))(np.ones(3))
    assert str(traced.value).startswith(str(plain.value).strip())


def test_an_index_read_at_run_time_names_the_line():
    f = lambda x, i: x[i].sum()
    with pytest.raises(
        IndexError, match="index 7 is out of bounds for axis 0 with size 2"
    ) as caught:
        cr.grad(f)(X, np.array([7]))
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert line_of(f) in text


def first_loop(x, rows):
    return cr.scan(lambda c, i: (c + np.take(X, i) * x, None), 0.0, rows)[0]


def second_loop(x, rows):
    return cr.scan(lambda c, i: (c + np.take(X, i) * x, None), 0.0, rows)[0]


def test_an_error_inside_a_loop_names_the_line_of_its_own_function():
    # two loops of equal structure share nothing that names a line
    for derivative in (cr.grad, lambda f: lambda *a: cr.vjp(f, *a)):
        derivative(first_loop)(1.0, np.array([1]))
        with pytest.raises(IndexError) as caught:
            derivative(second_loop)(1.0, np.array([7]))
        line = second_loop.__code__.co_firstlineno + 1
        assert f"test_errors.py:{line}" in caught.value.__notes__[0]


# --- the classes ---------------------------------------------------------------------------------


def test_every_error_is_documented_and_also_a_builtin_one():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)
               if c.__module__ == errors.__name__]  # fmt: skip
    assert len(classes) >= 15
    for cls in classes:
        assert issubclass(cls, errors.ChainruleError)
        assert cls.__doc__
        if cls is not errors.ChainruleError:
            assert any(b.__module__ == "builtins" for b in cls.__mro__[1:-3]), cls
