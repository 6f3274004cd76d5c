"""The layered layout: edges go forward, boxes of a layer do not overlap, chains are straight."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chainrule.show.layers import layered


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 20))
    sources = [draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(count)]
    sizes = [draw(st.sampled_from((10.0, 40.0, 90.0))) for _ in range(count)]
    return sizes, sources


@given(graphs())
def test_every_edge_goes_forward_through_each_layer_between(graph):
    sizes, sources = graph
    layout = layered(sizes, sources, gap=5.0)
    for target, found in enumerate(sources):
        for source in found:
            a, b = layout.boxes[source].layer, layout.boxes[target].layer
            assert [i.layer for i in layout.passages[source, target]] == list(range(a + 1, b))


@given(graphs())
def test_items_of_a_layer_do_not_overlap(graph):
    sizes, sources = graph
    for layer in layered(sizes, sources, gap=5.0).layers:
        for one, other in pairwise(layer):
            assert other.place - one.place >= (one.size + other.size) / 2 + 5.0 - 1e-6


@given(graphs())
def test_every_box_is_in_its_layer(graph):
    sizes, sources = graph
    layout = layered(sizes, sources, gap=5.0)
    placed = [item.box for layer in layout.layers for item in layer if item.box is not None]
    assert sorted(placed) == list(range(len(sizes)))


def test_a_chain_with_an_input_at_each_step_is_straight():
    sources: list[list[int]] = [[]]
    for step in range(6):
        chain = 0 if step == 0 else 2 * step
        sources += [[], [chain, 2 * step + 1]]
    layout = layered([50.0] * len(sources), sources, gap=10.0)
    places = [layout.boxes[i].place for i in range(2, len(sources), 2)]
    assert max(places) - min(places) < 2.0


def test_inputs_stand_just_before_what_reads_them():
    layout = layered([10.0] * 5, [[], [0], [1], [], [2, 3]], gap=5.0)
    assert layout.boxes[3].layer == layout.boxes[4].layer - 1
