"""What a person sees: plain lines away from a terminal, a bar on one."""

import io
import sys
import types

import pytest

from hasnn_jax.common import progress
from hasnn_jax.common.console import format_duration
from hasnn_jax.common.progress import StepProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set: `clock.now`."""
    clock = types.SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Terminal(io.StringIO):
    """A terminal of 120 columns that keeps what it is sent; from its making on it is standard error."""

    def __init__(self, monkeypatch):
        super().__init__()
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setattr(sys, "stderr", self)

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (123.4, "2m03s"),
        (3599.4, "59m59s"),
        (3599.6, "1h00m"),
        (3600 * 7 + 60 * 5 + 59, "7h05m"),
        (3600 * 100, "100h00m"),
    ],
)
def test_durations_are_short(seconds, text):
    assert format_duration(seconds) == text


def test_away_from_a_terminal_a_report_is_one_plain_line(capsys, clock):
    with StepProgress(total=100, start=0, batch_size=16) as bar:
        for _ in range(25):
            bar.advance()
        clock.now += 50.0
        bar.report("loss 1.234, accuracy 50.0%")
    captured = capsys.readouterr()
    assert captured.err == "step 25/100  loss 1.234, accuracy 50.0%  8 images/s, 2m36s left\n"
    assert captured.out == ""


def test_the_time_left_does_not_count_the_wait_for_the_compiler(capsys, clock):
    with StepProgress(total=101, start=0, batch_size=10) as bar:
        clock.now += 60.0
        bar.advance()
        bar.report("compiled")
        for _ in range(50):
            bar.advance()
        clock.now += 25.0
        bar.report("going")
        assert bar.images_per_second == 510 / 85
    compiled, going = capsys.readouterr().err.splitlines()
    assert compiled.startswith("step 1/101  compiled  ")
    assert going == "step 51/101  going  20 images/s, 25s left"


def test_news_of_a_step_already_shown_are_a_line_without_the_rest(capsys):
    with StepProgress(total=2, start=0, batch_size=1) as bar:
        bar.advance()
        bar.report("loss 1.234, test 50.00%", news="test 50.00%")
    assert capsys.readouterr().err == "step 1/2  test 50.00%\n"


def test_speed_and_time_left_count_this_session_only(capsys, clock):
    with StepProgress(total=100, start=60, batch_size=10) as bar:
        for _ in range(20):
            bar.advance()
        clock.now += 4.0
        assert (bar.seconds, bar.images_per_second) == (4.0, 50.0)
        bar.report("m")
    assert capsys.readouterr().err == "step 80/100  m  48 images/s, 4s left\n"


def test_a_report_in_the_first_instant_does_not_divide_by_zero(capsys, clock):
    with StepProgress(total=2, start=0, batch_size=1) as bar:
        bar.advance()
        bar.report("m")
    assert capsys.readouterr().err.startswith("step 1/2  m  ")


def test_what_is_said_is_a_line_of_its_own(capsys):
    with StepProgress(total=1, start=0, batch_size=1) as bar:
        bar.say("model    has8_resnet10_b8")
        bar.say("workdir  runs/digits")
    assert capsys.readouterr().err == "model    has8_resnet10_b8\nworkdir  runs/digits\n"


def test_a_terminal_shows_share_done_speed_time_left_and_metrics(monkeypatch):
    terminal = Terminal(monkeypatch)
    with StepProgress(total=4, start=1, batch_size=1000) as bar:
        assert " 25% |" in terminal.getvalue()
        for _ in range(3):
            bar.advance()
        bar.report("loss 1.234")
    last = terminal.getvalue().rstrip("\n").rpartition("\r")[2]
    assert last.startswith("100% |")
    assert " images/s" in last
    assert " left" in last
    assert last.rstrip().endswith("left, loss 1.234")


def test_on_a_terminal_what_is_said_stays_above_the_bar(monkeypatch):
    terminal = Terminal(monkeypatch)
    with StepProgress(total=2, start=0, batch_size=1) as bar:
        bar.advance()
        bar.say("stopped and saved")
        bar.advance()
    lines = [line.rpartition("\r")[2].strip() for line in terminal.getvalue().splitlines()]
    assert "stopped and saved" in lines
    assert lines.index("stopped and saved") < len(lines) - 1
    assert lines[-1].startswith("100% |")


def test_a_pipe_gets_no_control_characters(capsys):
    with StepProgress(total=3, start=0, batch_size=1) as bar:
        for _ in range(3):
            bar.advance()
            bar.report("m")
    text = capsys.readouterr().err
    assert text.count("\n") == 3
    assert "\r" not in text
    assert "\x1b" not in text
