"""Works are timed in turn, and their times are compared within a round."""

import paired_rounds
import pytest


class Clock:
    """Time that passes only while a work does something."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def work(self, name, seconds):
        def call(times):
            self.log.append((name, times))
            self.now += times * seconds

        return call


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(paired_rounds.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(paired_rounds.time, "sleep", lambda seconds: None)
    return clock


def test_works_alternate_after_the_warm_up(clock):
    rounds_done = []
    works = {"a": clock.work("a", 1.0), "b": clock.work("b", 2.0)}

    seconds = paired_rounds.time_in_turn(works, 3, rounds_done.append)

    assert clock.log == [("a", 1)] * 2 + [("b", 1)] * 2 + [("a", 1), ("b", 1)] * 3
    assert seconds == {"a": [1.0] * 3, "b": [2.0] * 3}
    assert rounds_done == [1, 2, 3]


def test_a_quick_work_is_repeated_within_a_round_and_timed_per_call(clock):
    seconds = paired_rounds.time_in_turn({"quick": clock.work("quick", paired_rounds.SHORTEST / 4)}, 2)

    assert clock.log[2:] == [("quick", 4)] * 2
    assert seconds["quick"] == pytest.approx([paired_rounds.SHORTEST / 4] * 2)


def test_quartiles_are_interpolated():
    assert paired_rounds.quartiles([4, 1, 2, 3]) == {"lower": 1.75, "median": 2.5, "upper": 3.25}


def test_a_disturbance_of_both_works_leaves_their_ratio():
    assert paired_rounds.ratios([2, 20, 2], [1, 10, 1]) == {"lower": 2, "median": 2, "upper": 2}
