"""What is due when in a run."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnn_jax.runs.timetable import Timetable

SMALL = Timetable(epochs=3, steps_per_epoch=5, log_every_steps=4, eval_every_epochs=2, save_every_epochs=1)
INTERVALS = st.integers(1, 7)


@pytest.mark.parametrize(
    ("due", "steps"),
    [("logs", [4, 5, 8, 10, 12, 15]), ("evaluates", [10, 15]), ("saves", [5, 10, 15])],
)
def test_what_is_due_when_in_a_small_run(due, steps):
    assert [step for step in range(1, SMALL.total + 1) if getattr(SMALL, due)(step)] == steps
    assert SMALL.epoch(12) == 2.4


@given(st.builds(Timetable, *[INTERVALS] * 5))
def test_a_run_ends_logged_evaluated_and_saved_and_nothing_is_due_before_it_begins(timetable):
    assert timetable.logs(timetable.total)
    for due in (timetable.evaluates, timetable.saves):
        assert due(timetable.total)
        assert not due(0)


@given(st.builds(Timetable, *[INTERVALS] * 5), st.data())
def test_more_epochs_take_nothing_back_but_the_end(timetable, data):
    step = data.draw(st.integers(0, timetable.total - 1))
    longer = dataclasses.replace(timetable, epochs=timetable.epochs + 1)
    for due in ("logs", "evaluates", "saves"):
        assert getattr(longer, due)(step) == getattr(timetable, due)(step)
