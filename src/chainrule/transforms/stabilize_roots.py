"""Rules for square roots, squares, powers and quotients."""

from chainrule.transforms.stabilize_rules import Rule

ROOTS = (
    Rule("root of a square", "sqrt(square(x))", "absolute(x)"),
    Rule("hypot", "sqrt(square(x) + square(y))", "hypot(x, y)",
         source="Borges, ACM TOMS 47 (2020) 9"),
    Rule("hypot of three", "sqrt(square(x) + square(y) + square(z))", "hypot(hypot(x, y), z)"),
    Rule("hypot with 1", "sqrt(1 + square(x))", "hypot(x, 1.0)"),
    Rule("root of x^2 - 1", "sqrt(square(x) - 1)",
         "sqrt(absolute(x) - 1.0) * sqrt(absolute(x) + 1.0)"),
    Rule("root of 1 - x^2", "sqrt(1 - square(x))", "sqrt((1.0 - x) * (1.0 + x))"),
    Rule("root of a difference of squares", "sqrt(square(x) - square(y))",
         "sqrt(absolute(x) - absolute(y)) * sqrt(absolute(x) + absolute(y))"),
    Rule("1 less a square", "1 - square(x)", "(1.0 - x) * (1.0 + x)"),
    Rule("difference of squares", "square(x) - square(y)", "d * (x + y)", difference="x - y"),
    Rule("square of a difference", "square(x) + square(y) - 2 * x * y", "square(x - y)"),
    Rule("square of a difference, its parts reordered", "square(x) - 2 * x * y + square(y)",
         "square(x - y)"),
    Rule("square of a sum", "square(x) + square(y) + 2 * x * y", "square(x + y)"),
)  # fmt: skip
