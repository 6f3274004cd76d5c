"""Rules for trigonometric functions."""

from chainrule.transforms.stabilize_rules import Rule

TRIGONOMETRIC = (
    Rule("1 less cosine", "1 - cos(x)", "2.0 * square(sin(0.5 * x))"),
    Rule("1 less squared cosine", "1 - square(cos(x))", "square(sin(x))"),
    Rule("1 less squared sine", "1 - square(sin(x))", "square(cos(x))"),
    Rule("tangent of half an angle", "2 * square(sin(0.5 * x)) / sin(x)",
         "tan(only(not_equal(x, 0.0), 0.5 * x))"),
    Rule("difference of squared cosine and sine", "square(cos(x)) - square(sin(x))",
         "cos(2.0 * x)"),
    Rule("tangent", "sin(x) / cos(x)", "tan(x)"),
    Rule("angle near 0 by its cosine", "arccos(1 - x)", "2.0 * arcsin(sqrt(0.5 * x))"),
    Rule("angle near pi by its cosine", "arccos(x - 1)", "2.0 * arccos(sqrt(0.5 * x))"),
)  # fmt: skip
