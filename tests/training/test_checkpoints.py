"""Checkpoints give back what was put in or say that they cannot, and no more of them are kept than asked for."""

import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hasnn_jax.errors import InputError
from hasnn_jax.training import sharding
from hasnn_jax.training.checkpoints import Checkpoints
from hasnn_jax.training.state import TrainState, create_state


@pytest.fixture(scope="module")
def everywhere():
    return sharding.replicated(sharding.make_mesh())


def make_state(everywhere, step=0, seed=0):
    """A state with every dtype and the nesting that a run has, and awkward values."""
    rng = np.random.default_rng(seed)
    params = {
        "stem": {"kernel": jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)},
        "head": {"kernel": jnp.asarray(rng.normal(size=5), jnp.bfloat16), "bias": jnp.array([0.0, -0.0, 1e-45, 3e38])},
    }
    optimizer = optax.chain(optax.add_decayed_weights(1e-3), optax.adam(1e-3))
    state = create_state({"params": params, "batch_stats": {"norm": {"mean": jnp.zeros(2)}}}, optimizer, seed)
    _, opt_state = optimizer.update(jax.tree.map(jnp.ones_like, params), state.opt_state, params)
    return jax.device_put(state.replace(step=jnp.int32(step), opt_state=opt_state), everywhere)


def restore(checkpoints, like, everywhere):
    return checkpoints.restore(like, jax.tree.map(lambda _: everywhere, like))


def assert_bit_identical(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def steps_in(directory):
    return sorted(int(path.name) for path in directory.iterdir())


def test_a_new_directory_has_no_checkpoint(tmp_path):
    with Checkpoints(tmp_path / "run" / "checkpoints", keep=2) as checkpoints:
        assert checkpoints.latest_step is None


def test_a_state_comes_back_bit_by_bit_where_it_is_asked_for(tmp_path, everywhere):
    state = make_state(everywhere, step=7)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert checkpoints.latest_step == 7
        restored = restore(checkpoints, make_state(everywhere, seed=1), everywhere)
    assert isinstance(restored, TrainState)
    assert_bit_identical(restored, state)
    for leaf in jax.tree.leaves(restored):
        assert leaf.sharding.is_equivalent_to(everywhere, leaf.ndim)


def test_the_newest_state_is_restored(tmp_path, everywhere):
    states = [make_state(everywhere, step=step, seed=step) for step in (3, 20, 100)]
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        for state in states:
            checkpoints.save(state)
        checkpoints.finish()
        assert checkpoints.latest_step == 100
        assert_bit_identical(restore(checkpoints, states[0], everywhere), states[2])


@pytest.mark.parametrize("keep", [1, 2, 9])
def test_the_latest_ones_are_kept(tmp_path, everywhere, keep):
    with Checkpoints(tmp_path, keep) as checkpoints:
        for step in (1, 2, 3, 10, 11):
            checkpoints.save(make_state(everywhere, step))
    assert steps_in(tmp_path) == [1, 2, 3, 10, 11][-keep:]


def test_a_saved_state_may_be_overwritten_in_memory_at_once(tmp_path, everywhere):
    advance = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    state = make_state(everywhere, step=5)
    expected = jax.tree.map(np.array, state)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state)
        advance(state)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert_bit_identical(restore(checkpoints, make_state(everywhere), everywhere), expected)


def test_saving_the_same_step_twice_keeps_the_first(tmp_path, everywhere):
    first = make_state(everywhere, step=4, seed=0)
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(first)
        checkpoints.save(make_state(everywhere, step=4, seed=1))
    with Checkpoints(tmp_path, keep=2) as checkpoints:  # as after a restart
        checkpoints.save(make_state(everywhere, step=4, seed=2))
        assert_bit_identical(restore(checkpoints, first, everywhere), first)
    assert steps_in(tmp_path) == [4]


def test_a_half_written_checkpoint_is_removed_and_the_one_before_it_used(tmp_path, everywhere):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(make_state(everywhere, step=4))
    half = shutil.copytree(tmp_path / "4", tmp_path / "9.orbax-checkpoint-tmp")  # as a kill during the save leaves it
    next(file for file in half.rglob("*") if file.is_file()).unlink()
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest_step == 4
        checkpoints.save(make_state(everywhere, step=12))
        checkpoints.finish()
        assert checkpoints.latest_step == 12
    assert steps_in(tmp_path) == [4, 12]


def test_those_of_the_highest_accuracy_are_kept_besides_the_latest(tmp_path, everywhere):
    accuracies = {1: 0.1, 2: 0.9, 3: None, 4: 0.3, 5: 0.8, 6: 0.2}
    with Checkpoints(tmp_path, keep=1, keep_best=2) as checkpoints:
        for step, accuracy in accuracies.items():
            checkpoints.save(make_state(everywhere, step), accuracy)
    assert steps_in(tmp_path) == [2, 5, 6]
    with Checkpoints(tmp_path, keep=1, keep_best=2) as checkpoints:  # as after a restart
        checkpoints.save(make_state(everywhere, 7), 0.85)
    assert steps_in(tmp_path) == [2, 7]


def two_checkpoints(folder, everywhere):
    with Checkpoints(folder / "checkpoints", keep=2, keep_best=1) as checkpoints:
        for step in (4, 9):
            checkpoints.save(make_state(everywhere, step, seed=step), accuracy=step / 10)


def restored(folder, everywhere):
    """The state that is gone on from, and what was said."""
    said = []
    with Checkpoints(folder / "checkpoints", keep=2, keep_best=1, say=said.append) as checkpoints:
        return restore(checkpoints, make_state(everywhere), everywhere), said


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
    assert "it lies in" in said[0]
    assert (tmp_path / "run" / "damaged" / "9.2").is_dir()


def test_where_every_checkpoint_is_damaged_the_run_stops_and_they_stay(tmp_path, everywhere):
    two_checkpoints(tmp_path, everywhere)
    for step in (4, 9):
        (tmp_path / "checkpoints" / str(step) / "state" / "manifest.ocdbt").write_bytes(b"")
    with pytest.raises(InputError, match=r"every checkpoint is damaged \(9: .*; 4: .*another --workdir"):
        restored(tmp_path, everywhere)
    assert steps_in(tmp_path / "checkpoints") == [4, 9]


def test_a_folder_that_vanishes_is_reported_and_not_made_anew(tmp_path, everywhere):
    with Checkpoints(tmp_path / "checkpoints", keep=2) as checkpoints:
        checkpoints.save(make_state(everywhere, step=4))
        checkpoints.finish()
        shutil.rmtree(tmp_path / "checkpoints")
        with pytest.raises(InputError, match=r"checkpoints: is gone.*put it back, or start again"):
            checkpoints.save(make_state(everywhere, step=9))
    assert not (tmp_path / "checkpoints").exists()


ON_A_FULL_DISK = """
import sys, jax, jax.numpy as jnp, optax, pathlib, absl.logging
absl.logging.set_verbosity(absl.logging.FATAL)
from hasnn_jax.errors import InputError
from hasnn_jax.training import sharding
from hasnn_jax.training.checkpoints import Checkpoints
from hasnn_jax.training.state import create_state

everywhere = sharding.replicated(sharding.make_mesh())
def make_state(step, size):
    params = {"kernel": jax.random.normal(jax.random.key(step), (size,))}
    state = create_state({"params": params}, optax.sgd(0.1), 0)
    return jax.device_put(state.replace(step=jnp.int32(step)), everywhere)

with Checkpoints(pathlib.Path(sys.argv[1]), keep=1) as checkpoints:
    checkpoints.save(make_state(4, 1000))
    checkpoints.finish()
    checkpoints.save(make_state(9, 500_000))
    try:
        checkpoints.finish()
    except InputError as error:
        print(error)
        raise SystemExit(3)
"""


def with_a_quota_for_every_file(*command):
    return ["sh", "-c", 'ulimit -f 200 && exec "$@"', "sh", *command]


def in_a_small_file_system(folder, *command):
    mount = (
        f'mount -t tmpfs -o size=1m tmpfs "{folder}" && "$@"; status=$?; cp -r "{folder}" "{folder}.copy"; exit $status'
    )
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh", *command]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["quota", "small file system"])
def test_a_full_disk_is_reported_and_the_last_good_checkpoint_stays(kind, tmp_path, everywhere):
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", ON_A_FULL_DISK, folder / "checkpoints"]
    if kind == "small file system":
        if subprocess.run(in_a_small_file_system(folder, "true"), capture_output=True, check=False).returncode:
            pytest.skip("file systems cannot be mounted here")
        shutil.rmtree(f"{folder}.copy")
        command = in_a_small_file_system(folder, *command)
    else:
        command = with_a_quota_for_every_file(*command)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 3, done.stderr
    assert "(the disk is full); the last one, of step 4, is whole; make room, and the same command" in done.stdout
    kept = folder if kind == "quota" else tmp_path / "run.copy"
    with Checkpoints(kept / "checkpoints", keep=1) as checkpoints:
        assert checkpoints.latest_step == 4
