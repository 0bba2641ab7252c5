"""Restoring a run's state from its newest intact checkpoint; damaged checkpoints are moved out of the way.

Every array is read straight into its sharding, so that a state which fits only when sharded can be restored.
"""

import functools
import itertools
import pathlib
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from hasnn_jax.checkpoints import folders
from hasnn_jax.checkpoints.damage import DamagedError, confirmed, read_arrays
from hasnn_jax.checkpoints.fingerprint import fingerprint, leaf_name, named_leaves
from hasnn_jax.common.console import Say
from hasnn_jax.common.errors import InputError, first_line
from hasnn_jax.training import processes
from hasnn_jax.training.state import TrainState


def restore_newest(
    directory: pathlib.Path, like: TrainState, shardings: TrainState, say: Say = lambda _: None
) -> TrainState | None:
    """Restores the newest intact checkpoint. All processes of a run call this together.

    Damaged checkpoints that are newer are moved to the folder "damaged" beside `directory`. Of the older ones only the
    metrics are checked, which Orbax reads before it saves the next.

    Args:
      directory: of the checkpoints; it need not exist.
      like: structure, shapes and dtypes of the state. A checkpoint may hold more arrays; these are ignored.
      shardings: of the state.
      say: gets a line for each checkpoint that is moved.

    Returns:
      the state; None where there is no checkpoint.

    Raises:
      InputError: all checkpoints are damaged, or one cannot be read for another reason than damage. Nothing is moved
        then.
    """
    steps = processes.on_main(lambda: folders.saved_steps(directory))
    state: TrainState | None = None
    faults: dict[int, str] = {}
    for step in reversed(steps):
        checkpoint = directory.absolute() / str(step)
        try:
            _check_metrics(checkpoint)
            if state is None:
                # All processes raise the same error, so that all of them read a second time, or none does.
                state = confirmed(functools.partial(_read_state, checkpoint, like, shardings))
        except DamagedError as error:
            faults[step] = str(error)
    if steps and state is None:
        listed = "; ".join(f"{step}: {fault}" for step, fault in faults.items())
        raise InputError(f"{directory}: every checkpoint is damaged ({listed}); start again in another --workdir")
    for line in processes.on_main(lambda: [_move_aside(directory, step, fault) for step, fault in faults.items()]):
        say(line)
    return state


def _read_state(checkpoint: pathlib.Path, like: TrainState, shardings: TrainState) -> TrainState:
    """Reads and checks a state.

    Each process reads its own shards by itself and then hears of the failures of the others, so that none waits for a
    process that has failed. That all processes call Orbax equally often keeps the names of its later barriers the same.
    """
    names = list(named_leaves(like))
    placed = dict(zip(names, jax.tree.leaves(shardings), strict=True))
    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix="restore_alone",
    )

    def target(about: Any) -> Any:
        _require_same_shapes(named_leaves(about), named_leaves(like))
        return jax.tree_util.tree_map_with_path(
            lambda path, array: jax.ShapeDtypeStruct(
                array.shape, array.dtype, sharding=placed.get(leaf_name(path), shardings.step)
            ),
            about,
        )

    damage = trouble = None
    try:
        with ocp.Context(multiprocessing_options=alone):
            arrays, about = read_arrays(checkpoint, target, needs="fingerprint")
    except DamagedError as error:
        damage = str(error)
    except InputError as error:
        trouble = str(error)
    _raise_together(damage, trouble)
    different = fingerprint(arrays) != about["fingerprint"]
    _raise_together("other numbers than were saved" if different else None)
    found = named_leaves(arrays)
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in names])


def _require_same_shapes(saved: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises ValueError unless all expected arrays were saved, in their shapes and dtypes."""
    for name, array in expected.items():
        if name not in saved:
            raise ValueError(f"it has no {name}")
        if (saved[name].shape, saved[name].dtype) != (array.shape, array.dtype):
            raise ValueError(f"{name} is {saved[name].dtype} {saved[name].shape}, expected {array.dtype} {array.shape}")


def _check_metrics(checkpoint: pathlib.Path) -> None:
    damage = trouble = None
    try:
        folders.read_accuracy(checkpoint)
    except (ValueError, KeyError, TypeError) as error:
        damage = f"unreadable metrics: {first_line(error)}"
    except OSError as error:
        trouble = f"{checkpoint}: its metrics cannot be read now ({first_line(error)}); nothing was moved"
    _raise_together(damage, trouble)


def _raise_together(damage: str | None, trouble: str | None = None) -> None:
    """Raises the same error in all processes if one of them has met damage or, which goes first, another trouble."""
    if trouble := processes.first_text(trouble):
        raise InputError(trouble)
    if damage := processes.first_text(damage):
        raise DamagedError(damage)


def _move_aside(directory: pathlib.Path, step: int, fault: str) -> str:
    folder = directory.parent / folders.DAMAGED
    folder.mkdir(exist_ok=True)
    names = itertools.chain([str(step)], (f"{step}.{count}" for count in itertools.count(2)))
    place = next(folder / name for name in names if not (folder / name).exists())
    (directory / str(step)).rename(place)
    return f"the checkpoint of step {step} is damaged ({fault}); it was moved to {place}"
