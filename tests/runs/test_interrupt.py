"""Ctrl-C and SIGTERM become a question; the second one acts; the handlers from before come back."""

import os
import signal
import threading

import jax
import pytest

from hasnn_jax.runs.interrupt import StopRequest

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def received():
    """Handlers of our own underneath, which note the signals that reach them."""
    received = []
    before = {number: signal.signal(number, lambda number, frame: received.append(number)) for number in BOTH}
    yield received
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers():
    return [signal.getsignal(number) for number in BOTH]


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_sets_the_request_and_nothing_else_happens(number, received):
    with StopRequest() as stop:
        assert not stop.requested()
        os.kill(os.getpid(), number)
        assert stop.requested()
    assert received == []


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize("second", BOTH)
def test_a_second_signal_acts_as_it_would_have_without(first, second, received):
    with StopRequest():
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), second)
        assert received == [second]


def test_a_second_ctrl_c_interrupts():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop.requested()


def test_with_other_processes_a_first_ctrl_c_goes_to_jaxs_runtime_as_sigterm(received, monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        assert received == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGINT)
        assert received == [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("signals", [0, 1])
def test_the_handlers_from_before_are_back_afterwards(signals):
    before = handlers()
    with StopRequest():
        assert handlers() != before
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGTERM)
    assert handlers() == before


def test_the_handlers_from_before_are_back_after_an_error():
    before = handlers()
    with pytest.raises(RuntimeError, match="in the loop"), StopRequest():
        raise RuntimeError("in the loop")
    assert handlers() == before


def test_outside_the_main_thread_nothing_is_caught_and_nothing_fails():
    before, seen, errors = handlers(), [], []

    def use():
        try:
            with StopRequest() as stop:
                seen.append((handlers() == before, stop.requested()))
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert (seen, errors) == ([(True, False)], [])
