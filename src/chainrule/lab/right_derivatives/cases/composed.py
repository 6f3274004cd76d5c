"""Programs of the other classes again, under the library's compiler and lane by lane.

Nothing is new here but the way the derivative is asked for: `compile(grad(f))(x)`, and
`vmap(grad(f))` over all points of the case at once, some of which are ties and some are not.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy

from chainrule.lab.right_derivatives.case import GROUPS
from chainrule.lab.right_derivatives.cases.kinks_arrays import vector

# A case's name and where else than at its own points it is asked, so that lanes differ.
_NEAR_ZERO = [-0.5, 2.0]

_COMPILED = {
    "kinks": [
        "relu_of_x_less_relu_of_minus_x", "leaky_relu_both_ways", "clip_and_what_it_cuts_off",
        "maximum_and_minimum_of_multiples", "deep_chain_of_relus",
        "maximum_of_a_square_and_a_cube",
        "stable_softplus", "stable_softplus/second", "stable_sigmoid_by_where", "huber",
        "where_equal_to_zero", "sinc_guarded_by_equality/second", "sum_by_order_statistics",
        "max_median_and_min", "squared_max_pool", "vjp_of_clips/vjp", "hvp_of_softpluses/hvp",
        "hessian_of_max_times_min/hessian", "ramp_of_x_less_ramp_of_minus_x",
        "residual_block_that_is_linear/jacobian", "two_quantiles_mirror", "batch_cross_entropy",
    ],
    "singular": [
        "sqrt_of_positive", "sum_of_roots_of_the_positive", "x_log_x/second", "masked_softmax",
        "causal_attention", "gather_with_padding", "scan_with_a_guard", "cond_with_a_root",
        "norm_squared/hessian", "all_distances_between_points", "sinc/second",
        "polar_coordinates_and_back", "product_with_two_zeros/hessian", "huber_of_a_norm/hessian",
        "layer_norm_written_out/jacobian", "sine_over_x_by_where", "zero_to_a_positive_power",
        "clipping_by_norm/jacobian",
    ],
    "naive": [
        "softplus", "log_of_sigmoid", "one_minus_sigmoid", "binary_cross_entropy", "log_of_cosh",
        "tanh_by_exponentials", "exp_minus_one_over_x", "log_of_one_minus_exp",
        "difference_of_roots", "hypotenuse", "larger_root_of_a_quadratic", "expanded_cube",
        "versine_over_square", "great_circle_by_the_cosine_law", "logsumexp",
        "log_softmax/jacobian", "batch_cross_entropy", "variance_of_moments", "log_of_a_product",
        "norm_by_squares",
        "squared_distance_by_inner_products", "log_of_a_determinant", "repeated_softplus",
    ],
}  # fmt: skip

_LANES: dict[str, dict[str, list]] = {
    "kinks": {
        "relu_of_x_less_relu_of_minus_x": _NEAR_ZERO,
        "leaky_relu_both_ways": _NEAR_ZERO,
        "clip_by_two_maxima": [0.5, -4.0],
        "x_times_abs_x": _NEAR_ZERO,
        "maximum_of_a_square_and_a_cube": [1.0, -0.5, 2.0],
        "stable_softplus": _NEAR_ZERO,
        "stable_softplus/second": _NEAR_ZERO,
        "stable_sigmoid_by_where": _NEAR_ZERO,
        "where_equal_to_zero": _NEAR_ZERO,
        "equal_arguments_have_a_special_case": [(2.0, 3.0), (1.0, 1.0)],
        "sum_by_order_statistics": [(1.0, 2.0, 1.0), (3.0, 1.0, 2.0)],
        "ramp_of_ramp_of_ramp": _NEAR_ZERO,
        "second_order_of_the_winner/second": [0.5],
        "max_median_and_min": [vector(1.0, 3.0, 3.0), vector(1.0, 2.0, 3.0)],
        "sum_of_the_sorted": [vector(4.0, 3.0, 2.0, 1.0)],
        "max_pool_plus_min_pool": [vector(1.0, 2.0, 3.0, 3.0)],
        "stable_logsumexp": [vector(1.0, 2.0, 3.0)],
        "hessian_of_softpluses/hessian": [vector(1.0, -1.0), vector(2.0, 3.0)],
        "vector_of_relu_differences/jacobian": [vector(1.0, 0.0)],
        "network_that_computes_a_linear_function": [vector(1.0, 2.0, 3.0)],
    },
    "singular": {
        "sqrt_of_positive": [],
        "sqrt_of_positive/second": [],
        "x_log_x": [2.0],
        "arccos_of_clip": [],
        "nested_selects": [],
        "bump_function": [],
        "cond_with_a_root": [],
        "cond_with_a_root/second": [],
        "while_loop_with_a_guard": [],
        "scan_with_a_guard": [vector(1.0, -2.0, 3.0)],
        "sinc/second": [0.5],
        "sine_over_x_by_where": [0.5],
        "norm_squared/hessian": [vector(1.0, 2.0, 3.0)],
        "huber_of_a_norm": [vector(3.0, 4.0), vector(0.1, 0.2)],
        "hypot_squared": [(3.0, 4.0)],
        "product_with_a_zero": [vector(1.0, 2.0, 3.0), vector(0.0, 0.0, 3.0)],
        "masked_softmax": [vector(3.0, 2.0, 1.0)],
        "norm_not_taken": [vector(3.0, 4.0, 0.0)],
        "clipping_by_norm/jacobian": [vector(3.0, 4.0)],
    },
    "naive": {
        name: []
        for name in (
            "softplus", "logistic_sigmoid", "log_of_sigmoid", "binary_cross_entropy", "mish",
            "tanh_by_exponentials", "log_of_cosh", "exp_minus_one", "log_of_one_minus_exp",
            "log_of_sum_of_two", "difference_of_roots", "hypotenuse", "larger_root_of_a_quadratic",
            "difference_of_squares", "versine", "sine_over_x", "difference_of_cosines",
            "variance_of_moments", "log_of_a_product", "norm_by_squares",
        )
    },
}  # fmt: skip


_MADE_IN = (
    "kinks_scalars", "kinks_written_out", "kinks_arrays", "kinks_numpy", "singular_branches",
    "singular_points", "naive_exponentials", "naive_differences", "naive_reductions",
    "naive_compounds",
)  # fmt: skip


def _find(group: str, name: str):
    return next(case for case in GROUPS[group].cases if case.name == name)


def _compose() -> None:
    for name in _MADE_IN:
        import_module(f"{__package__}.{name}")
    for group, names in _COMPILED.items():
        for name in names:
            case = _find(group, name)
            _add(case, "compile", case.points)
    for group, more in _LANES.items():
        for name, extra in more.items():
            case = _find(group, name)
            points = [p if isinstance(p, tuple) else (p,) for p in extra]
            _add(case, "vmap", (*case.points, *points))


def _add(case, way: str, points: tuple) -> None:
    """`case` asked in another way; its truth is computed, at all points."""
    shapes = {tuple(numpy.shape(value) for value in point) for point in points}
    if way == "vmap" and (len(points) < 2 or len(shapes) != 1):
        raise ValueError(f"{case.name} needs two points or more, of one shape.")
    name = f"{way}:{case.group}/{case.name}"
    GROUPS["composed"].append(
        replace(case, group="composed", name=name, by=way, points=points, expect=None)
    )


_compose()
