"""The short form of `kill_runs.py`: runs that are killed end as those that are left alone, to the bit."""

import kill_runs
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "arguments",
    [["--kills=2"], ["--kills=1", "--signal=TERM"], ["--kills=1", "--processes=2"]],
    ids=["SIGKILL", "SIGTERM", "one of two processes"],
)
def test_a_killed_run_ends_as_one_left_alone(arguments):
    assert kill_runs.main([*arguments, "--epochs=2"]).total() >= 1
