"""Checkpoints of the train state by Orbax, in `<workdir>/checkpoints/<step>`."""

import pathlib

import jax
from jax.sharding import Sharding
from orbax.checkpoint import v1 as ocp

from hasnn_jax.training.state import TrainState


class Checkpoints:
    """The checkpoints of one run. Use as a context manager, so that a save under way is finished on leaving.

    Attributes:
      directory: where they are; made if it does not exist. Half-written ones are removed.
      keep: how many of the latest to keep.
    """

    def __init__(self, directory: pathlib.Path, keep: int):
        self._checkpointer = ocp.training.Checkpointer(
            directory.absolute(),
            preservation_policy=ocp.training.preservation_policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._checkpointer.close()

    @property
    def latest_step(self) -> int | None:
        """The newest checkpoint's step; None where there is none."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, state: TrainState) -> None:
        """Saves the state under its own step, unless that step is saved already."""
        step = int(state.step)
        if step != self.latest_step:
            self._checkpointer.save(step, state)

    def restore(self, like: TrainState, sharding: Sharding) -> TrainState:
        """The newest state, with the structure, shapes and dtypes of `like` (arrays or not), laid out by `sharding`."""
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), like)
        return self._checkpointer.load(self.latest_step, abstract)
