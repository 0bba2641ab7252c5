"""The newest intact state is restored; damaged checkpoints are moved aside, and nothing else is."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp
from small_states import assert_bit_identical, make_state, restore, two_checkpoints

from hasnn_jax.checkpoints.saving import Checkpoints
from hasnn_jax.common.errors import InputError
from hasnn_jax.training import sharding


@pytest.fixture(scope="module")
def everywhere():
    return sharding.replicated(sharding.make_mesh())


def restored(folder, everywhere):
    """The restored state, and what was said."""
    said = []
    return restore(folder / "checkpoints", make_state(everywhere), everywhere, said.append), said


def steps_in(directory):
    return sorted(int(path.name) for path in directory.iterdir())


def damage(checkpoint):
    (checkpoint / "state" / "manifest.ocdbt").write_bytes(b"")


def flip(data, rng):
    place = rng.integers(len(data))
    return data[:place] + bytes([data[place] ^ (1 << rng.integers(8))]) + data[place + 1 :]


DAMAGES = {
    "gone": None,
    "empty": lambda data, rng: b"",
    "cut": lambda data, rng: data[: len(data) // 2],
    "one bit": flip,
    "another bit": flip,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_with_any_file_damaged_gives_the_same_state_or_the_one_before(damage, tmp_path, everywhere):
    two_checkpoints(tmp_path / "whole", everywhere)
    expected = {step: make_state(everywhere, step, seed=step) for step in (4, 9)}
    rng = np.random.default_rng(list(DAMAGES).index(damage))
    used = []
    files = sorted(path for path in (tmp_path / "whole" / "checkpoints" / "9").rglob("*") if path.is_file())
    for number, path in enumerate(files):
        run = shutil.copytree(tmp_path / "whole", tmp_path / f"run{number}")
        file = run / path.relative_to(tmp_path / "whole")
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(DAMAGES[damage](file.read_bytes(), rng))
        state, said = restored(run, everywhere)
        step = int(state.step)
        assert_bit_identical(state, expected[step])
        assert bool(said) == (step == 4), path
        if said:
            assert "the checkpoint of step 9 is damaged (" in said[0]
            assert (run / "damaged" / "9").is_dir()
        used.append(step)
    assert 4 in used


def test_numbers_that_were_changed_without_a_trace_are_noticed(tmp_path, everywhere):
    """A checkpoint that is whole in itself, but holds other numbers than its fingerprint was taken of."""
    two_checkpoints(tmp_path / "run", everywhere)
    with Checkpoints(tmp_path / "other", keep=1) as checkpoints:
        checkpoints.save(make_state(everywhere, step=9, seed=100))
    checkpoint = tmp_path / "run" / "checkpoints" / "9"
    shutil.rmtree(checkpoint / "state")
    shutil.copytree(tmp_path / "other" / "9" / "state", checkpoint / "state")
    state, said = restored(tmp_path / "run", everywhere)
    assert int(state.step) == 4
    assert "other numbers than were saved" in said[0]
    assert (tmp_path / "run" / "damaged" / "9").is_dir()

    shutil.copytree(tmp_path / "other" / "9" / "state", checkpoint / "state")  # what is laid aside stays there
    _, said = restored(tmp_path / "run", everywhere)
    assert "it was moved to" in said[0]
    assert (tmp_path / "run" / "damaged" / "9.2").is_dir()


def test_where_every_checkpoint_is_damaged_the_run_stops_and_they_stay(tmp_path, everywhere):
    two_checkpoints(tmp_path, everywhere)
    for step in (4, 9):
        damage(tmp_path / "checkpoints" / str(step))
    with pytest.raises(InputError, match=r"every checkpoint is damaged \(9: .*; 4: .*another --workdir"):
        restored(tmp_path, everywhere)
    assert steps_in(tmp_path / "checkpoints") == [4, 9]


def test_opening_the_checkpoints_of_a_run_moves_nothing(tmp_path, everywhere):
    two_checkpoints(tmp_path, everywhere)
    damage(tmp_path / "checkpoints" / "9")
    with Checkpoints(tmp_path / "checkpoints", keep=2, keep_best=1):
        pass
    assert steps_in(tmp_path / "checkpoints") == [4, 9]
    assert not (tmp_path / "damaged").exists()


def test_arrays_that_a_state_no_longer_has_are_ignored(tmp_path, everywhere):
    """As in checkpoints of earlier versions, whose states held the run's random key."""
    state = make_state(everywhere, step=4)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state.replace(window={**state.window, "key": jax.numpy.zeros(2, "uint32")}))
    assert_bit_identical(restore(tmp_path, state, everywhere), state)


def test_a_state_of_another_shape_is_not_restored_and_stays(tmp_path, everywhere):
    two_checkpoints(tmp_path, everywhere)
    other = make_state(everywhere)
    other.params["stem"]["kernel"] = jax.numpy.zeros((3, 7))
    other.params["more"] = jax.numpy.zeros(1)
    with pytest.raises(InputError, match=r"every checkpoint is damaged \(9: it has no params/more; 4: it has no"):
        restore(tmp_path / "checkpoints", other, everywhere)
    del other.params["more"]
    with pytest.raises(InputError, match=r"params/stem/kernel is float32 \(3, 2\), expected float32 \(3, 7\)"):
        restore(tmp_path / "checkpoints", other, everywhere)
    assert steps_in(tmp_path / "checkpoints") == [4, 9]


NOT_DAMAGE = [
    MemoryError(),
    PermissionError(13, "Permission denied"),
    InterruptedError(4, "Interrupted system call"),
    OSError(5, "Input/output error"),
    OSError(24, "Too many open files"),
    jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1073741824 bytes."),
    ValueError('PERMISSION_DENIED: Error reading local file "d/1": Failed to open: Permission denied'),
    ValueError("UNAVAILABLE: the file system is away"),
    ValueError("DEADLINE_EXCEEDED: no answer"),
]


@pytest.mark.parametrize("error", NOT_DAMAGE, ids=repr)
def test_an_error_that_is_not_damage_moves_nothing_and_says_so(error, tmp_path, everywhere, monkeypatch):
    two_checkpoints(tmp_path, everywhere)

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(ocp, "load", fail)
        with pytest.raises(InputError, match="does not mean that it is damaged; nothing was moved"):
            restored(tmp_path, everywhere)
    assert steps_in(tmp_path / "checkpoints") == [4, 9]
    assert not (tmp_path / "damaged").exists()
    assert int(restored(tmp_path, everywhere)[0].step) == 9


def test_ctrl_c_during_a_read_moves_nothing(tmp_path, everywhere, monkeypatch):
    two_checkpoints(tmp_path, everywhere)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ocp, "load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restored(tmp_path, everywhere)
    assert steps_in(tmp_path / "checkpoints") == [4, 9]


def test_a_read_that_fails_once_is_not_damage(tmp_path, everywhere, monkeypatch):
    two_checkpoints(tmp_path, everywhere)
    load, calls = ocp.load, []

    def fail_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("DATA_LOSS: the block that came over the network was cut short")
        return load(*args, **kwargs)

    monkeypatch.setattr(ocp, "load", fail_once)
    state, said = restored(tmp_path, everywhere)
    assert int(state.step) == 9
    assert said == []


AS_NOBODY = """
import os, sys, pathlib
import absl.logging
absl.logging.set_verbosity(absl.logging.FATAL)
import jax
from small_states import make_state, restore
from hasnn_jax.common.errors import InputError
from hasnn_jax.training import sharding

everywhere = sharding.replicated(sharding.make_mesh())
directory, state = pathlib.Path(sys.argv[1]), make_state(everywhere)
files = sorted(file for file in (directory / "9").rglob("*") if file.is_file() and file.name != "commit_success.txt")
if os.geteuid() == 0:
    os.chown(directory.parent, 65534, 65534)
    for file in directory.rglob("*"):
        os.chown(file, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
for file in files:
    file.chmod(0)
    try:
        print(file.name, int(restore(directory, state, everywhere, print).step))
    except InputError as error:
        print(file.name, error)
    file.chmod(0o644)
"""


@pytest.mark.slow
def test_a_file_that_may_not_be_read_moves_nothing(everywhere):
    # Not in tmp_path, whose parents are closed to other users: root may read everything, and has to become another.
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        two_checkpoints(folder, everywhere)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, folder / "checkpoints"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(pathlib.Path(__file__).parent), *sys.path])},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        refused = [line for line in lines if "cannot be read now" in line and "ermission denied" in line]
        unneeded = [line for line in lines if line.endswith(" 9")]
        assert len(refused) + len(unneeded) == len(lines) > 5, done.stdout
        assert len(refused) >= 5
        assert steps_in(folder / "checkpoints") == [4, 9]
        assert not (folder / "damaged").exists()
