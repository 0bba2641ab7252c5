"""Loss and test accuracy: of a run's checkpoint or of converted weights, and during training."""

import contextlib
import functools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from hasnn_jax import data
from hasnn_jax.assembly.model import all_of_weights, read_weights
from hasnn_jax.assembly.run_setup import RunSetup, set_up
from hasnn_jax.checkpoints import folders
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.progress import StepProgress
from hasnn_jax.models import Model
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.training import processes, sharding
from hasnn_jax.training.steps import evaluation_step

Evaluate = Callable[..., dict[str, jax.Array]]


def evaluate_weights(
    config: ConfigDict, workdir: str | os.PathLike[str], *, keep_programs_in: pathlib.Path | None = None
) -> dict[str, float]:
    """Evaluates a workdir's newest checkpoint, or, if it has none, the weights of `config.model.init_from`.

    Changes nothing in the workdir; `keep_programs_in` is that of `hasnn_jax.runs.train.train_and_evaluate`.

    Returns:
      "loss" and "accuracy" (0..1) over all test images, "images": how many there are, and "unreadable" where some could
      not be read; see `evaluate_all`.

    Raises:
      InputError: bad input, or no weights.
    """
    setup = set_up(config, keep_programs_in)
    workdir = pathlib.Path(workdir).expanduser()
    checkpoint = folders.newest_checkpoint(workdir)
    settings = all_of_weights(config.model)
    if checkpoint is not None:
        settings.init_from = str(workdir)
    elif settings.init_from is None:
        raise InputError(
            f"workdir {workdir}: holds no checkpoint to evaluate; name weights by --config.model.init_from"
        )
    variables, ranges_missing = read_weights(settings, setup.model, setup.shapes)
    if ranges_missing:
        raise InputError(
            f"{settings.init_from}: has no tracked value ranges, which the configured spec evaluates with; for weights "
            "of the release set config.model.spiking.spec=as_released, or train them first"
        )
    images = len(setup.source.test)
    batches = -(-images // config.batch_size)
    with StepProgress(batches, 0, config.batch_size, shown=processes.is_main()) as progress:
        progress.say(f"weights  {checkpoint or settings.init_from}")
        progress.say(f"data     {setup.source.name}: {images:,} test images")
        metrics = evaluate_all(
            kept_evaluation(setup),
            jax.device_put(variables, sharding.replicated(setup.mesh)),
            setup,
            advance=progress.advance,
        )
    assert metrics is not None  # only `stop` makes it so
    return {**metrics, "images": images}


def compile_evaluation(model: Model, mesh: Mesh) -> Evaluate:
    """The evaluation step over the mesh: (variables, batch) -> sums; the variables keep their sharding."""
    step = functools.partial(evaluation_step, apply=compile_for(mesh, model.apply))
    return jax.jit(step, in_shardings=(None, sharding.over_batch(mesh)), out_shardings=sharding.replicated(mesh))


def kept_evaluation(setup: RunSetup) -> Evaluate:
    """The same for a run, from its kept programs."""
    return setup.programs.keep("evaluation_step", compile_evaluation(setup.model, setup.mesh))


def evaluate_all(
    evaluate: Evaluate,
    variables: Mapping[str, Any],
    setup: RunSetup,
    *,
    advance: Callable[[], object] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Loss and accuracy over all test examples, each counted once.

    Args:
      evaluate: see `compile_evaluation`.
      variables: the model's.
      setup: data, batch size and devices.
      advance: called after every batch.
      stop: called after every batch; True ends the evaluation without a result.

    Returns:
      "loss" and "accuracy" (0..1), and "unreadable": how many images could not be read and are not counted, if any.
    """
    sums = []
    batches = data.evaluation_batches(
        setup.source.test, setup.preprocessing, batch_size=setup.batch_size, reading=setup.reading
    )
    with contextlib.closing(batches):
        for batch in batches:
            sums.append(evaluate(variables, sharding.put_batch(batch, setup.mesh)))
            advance()
            if stop():
                return None
    fetched = jax.device_get(sums)
    total = {name: float(np.sum([s[name] for s in fetched])) for name in fetched[0]}
    means = {"loss": total["loss"] / total["count"], "accuracy": total["correct"] / total["count"]}
    return means | ({"unreadable": int(total["replaced"])} if total["replaced"] else {})
