"""What a failed reading of a checkpoint gives, and who hears of what it leaves behind."""

import sys
import types
import warnings

import pytest

from hasnn_jax.checkpoints.quiet_orbax import read_quietly


@pytest.fixture
def heard(monkeypatch):
    """The messages that reach Python's own hook."""
    messages = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: messages.append(str(what.exc_value)))
    return messages


def drop(error, cause=None):
    """As an exception that nobody can catch does."""
    error.__cause__ = cause
    sys.unraisablehook(types.SimpleNamespace(exc_value=error))


def test_a_good_reading_gives_what_was_read_and_hides_nothing_afterwards(heard):
    assert read_quietly(lambda: 7) == (7, None)
    drop(RuntimeError("Event loop is closed"))
    assert heard == ["Event loop is closed"]


def test_a_failure_gives_its_reason_in_one_line_and_only_dropped_reads_go_unheard(heard):
    async def never_awaited():
        raise AssertionError

    def read():
        left = [never_awaited()]
        left.append(left)  # until it is collected
        raise ValueError("cut short\nwith details")

    result, error = read_quietly(read)
    assert result is None
    assert isinstance(error, ValueError)
    assert str(error) == "cut short\nwith details"
    assert (error.__traceback__, error.__context__) == (None, None)  # they would keep what was dropped
    drop(RuntimeError("Event loop is closed"))
    drop(OSError("error while reading"), cause=GeneratorExit())
    drop(RuntimeError("something else"))
    drop(ValueError("Event loop is closed"))
    assert heard == ["something else", "Event loop is closed"]


def test_the_missing_shardings_are_not_warned_of(recwarn):
    def read():
        warnings.warn("Sharding info not provided when restoring.", UserWarning, stacklevel=1)
        return 7

    assert read_quietly(read) == (7, None)
    assert not recwarn.list
