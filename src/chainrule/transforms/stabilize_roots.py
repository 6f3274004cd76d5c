"""Rules for square roots, squares, powers and quotients."""

from chainrule.transforms.stabilize_rules import Rule

ROOTS = (
    Rule("root of a square", "sqrt(square(x))", "absolute(x)"),
    Rule("hypot", "sqrt(square(x) + square(y))", "hypot(x, y)",
         source="Borges, ACM TOMS 47 (2020) 9"),
    Rule("hypot of three", "sqrt(square(x) + square(y) + square(z))", "hypot(hypot(x, y), z)"),
    Rule("hypot with 1", "sqrt(1 + square(x))", "hypot(x, 1.0)"),
    Rule("root of x^2 - 1", "sqrt(square(x) - 1)",
         "root_of_difference(x, 1.0)"),
    Rule("root of 1 - x^2", "sqrt(1 - square(x))", "root_of_difference(1.0, x)"),
    Rule("root of a difference of squares", "sqrt(square(x) - square(y))",
         "root_of_difference(x, y)"),
    Rule("1 less a square", "1 - square(x)", "difference_of_powers(1.0, x, n=2)"),
    Rule("difference of near squares", "square(x) - square(y)", "d * (x + y)",
         difference="x - y", cancels=True),
    Rule("difference of squares", "square(x) - square(y)", "difference_of_powers(x, y, n=2)"),
    Rule("square of a difference", "square(x) + square(y) - 2 * x * y", "square(x - y)"),
    Rule("square of a difference, its parts reordered", "square(x) - 2 * x * y + square(y)",
         "square(x - y)"),
    Rule("square of a sum", "square(x) + square(y) + 2 * x * y", "square(x + y)"),
)  # fmt: skip
