"""The plainest evaluator: every value a copy, equation by equation, control flow by recursion."""

import numpy as np


def run(program, inputs) -> list[np.ndarray]:
    """The outputs of a closed program, as arrays that share no memory with anything."""
    env = dict(zip(program.inputs, map(np.array, inputs), strict=True))
    for equation in program.equations:
        arguments = [np.array(x.value if x.is_literal else env[x]) for x in equation.inputs]
        made = _run_equation(equation, arguments)
        for var, value in zip(equation.outputs, made, strict=True):
            env[var] = np.array(value)
    return [np.array(x.value if x.is_literal else env[x]) for x in program.outputs]


def _run_equation(equation, arguments):
    params = equation.params
    if equation.op.name == "cond":
        predicate, *operands = arguments
        return run(params["branches"][0 if predicate else 1], operands)
    if equation.op.name == "checkpoint":
        return run(params["program"], arguments)
    if equation.op.name == "while":
        return _run_while(arguments, **params)
    if equation.op.name == "scan":
        return _run_scan([v.type for v in equation.outputs], arguments, **params)
    scalars = [x if x.ndim else x[()] for x in arguments]
    made = equation.op.evaluate(*scalars, **params)
    return made if isinstance(made, tuple) else (made,)


def _run_while(arguments, test, body, constants):
    fixed, carry = arguments[:constants], arguments[constants:]
    while run(test, fixed + carry)[0]:
        carry = run(body, fixed + carry)
    return carry


def _run_scan(out_types, arguments, body, constants, carries, length, reverse):
    end = constants + carries
    fixed, carry, along = arguments[:constants], arguments[constants:end], arguments[end:]
    rows: list = [None] * length
    for i in range(length - 1, -1, -1) if reverse else range(length):
        made = run(body, fixed + carry + [x[i] for x in along])
        carry, rows[i] = made[:carries], made[carries:]
    stacked = [
        np.array([row[k] for row in rows], t.dtype).reshape(t.shape)
        for k, t in enumerate(out_types[carries:])
    ]
    return carry + stacked
