"""Spans: a set of whole numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.spans import Spans

_NUMBER = st.integers(0, 60)


@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), _NUMBER, st.integers(0, 9))))
def test_spans_are_a_set(steps: list[tuple[str, int, int]]) -> None:
    """After any adds and removes the spans hold what a set would, disjoint, ascending and never touching."""
    spans, model = Spans(), set[int]()
    for step, number, more in steps:
        if step == "add":
            spans.add(number, number + more)
            model |= set(range(number, number + more + 1))
        else:
            spans.remove(number)
            model.discard(number)
    assert {n for first, last in spans for n in range(first, last + 1)} == model
    ends = [end for span in spans for end in span]
    assert ends == sorted(ends)
    assert all(later[0] > earlier[1] + 1 for earlier, later in zip(list(spans), list(spans)[1:], strict=False))
    for number in range(75):
        assert (number in spans) == (number in model)
        assert spans.first_free(number) == next(n for n in range(number, 99) if n not in model)


def test_a_backward_span_is_refused() -> None:
    """A span that ends before it begins is a mistake of the caller."""
    with pytest.raises(ValueError, match="can't run from 3 to 2"):
        Spans().add(3, 2)


def test_a_copy_is_independent() -> None:
    """What is added to a copy does not appear in the original."""
    spans = Spans([(1, 2)])
    spans.copy().add(3)
    assert list(spans) == [(1, 2)]
