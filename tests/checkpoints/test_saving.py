"""Checkpoints give back what was put in or say that they cannot, and no more of them are kept than asked for."""

import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from small_states import assert_bit_identical, make_state, restore

from hasnn_jax.checkpoints.saving import Checkpoints
from hasnn_jax.common.errors import InputError
from hasnn_jax.training import sharding
from hasnn_jax.training.state import TrainState


@pytest.fixture(scope="module")
def everywhere():
    return sharding.replicated(sharding.make_mesh())


def steps_in(directory):
    return sorted(int(path.name) for path in directory.iterdir())


def test_a_new_directory_has_no_checkpoint(tmp_path, everywhere):
    assert restore(tmp_path / "run" / "checkpoints", make_state(everywhere), everywhere) is None
    with Checkpoints(tmp_path / "run" / "checkpoints", keep=2) as checkpoints:
        assert checkpoints.latest_step is None


def test_a_state_comes_back_bit_by_bit_where_it_is_asked_for(tmp_path, everywhere):
    state = make_state(everywhere, step=7)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state)
    restored = restore(tmp_path, make_state(everywhere, seed=1), everywhere)
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
        assert_bit_identical(restore(tmp_path, states[0], everywhere), states[2])


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
    assert_bit_identical(restore(tmp_path, make_state(everywhere), everywhere), expected)


def test_saving_the_same_step_twice_keeps_the_first(tmp_path, everywhere):
    first = make_state(everywhere, step=4, seed=0)
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(first)
        checkpoints.save(make_state(everywhere, step=4, seed=1))
    with Checkpoints(tmp_path, keep=2) as checkpoints:  # as after a restart
        checkpoints.save(make_state(everywhere, step=4, seed=2))
    assert_bit_identical(restore(tmp_path, first, everywhere), first)
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
from hasnn_jax.common.errors import InputError
from hasnn_jax.training import sharding
from hasnn_jax.checkpoints.restoring import restore_newest
from hasnn_jax.checkpoints.saving import Checkpoints
from hasnn_jax.training.state import create_state

everywhere = sharding.replicated(sharding.make_mesh())
def make_state(step, size):
    params = {"kernel": jax.random.normal(jax.random.key(step), (size,))}
    state = create_state({"params": params}, optax.sgd(0.1))
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
    assert "(the disk is full); the last one, of step 4, is intact; make room, and the same command" in done.stdout
    kept = folder if kind == "quota" else tmp_path / "run.copy"
    with Checkpoints(kept / "checkpoints", keep=1) as checkpoints:
        assert checkpoints.latest_step == 4
