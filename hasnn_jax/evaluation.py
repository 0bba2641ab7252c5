"""The test accuracy of a run or of converted weights, without training."""

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
from hasnn_jax.assembly import Experiment, read_weights, set_up
from hasnn_jax.errors import InputError
from hasnn_jax.interop.weights import newest_checkpoint
from hasnn_jax.training import processes, sharding
from hasnn_jax.training.progress import Progress
from hasnn_jax.training.steps import evaluation_step

Evaluate = Callable[..., dict[str, jax.Array]]


def evaluate_weights(config: ConfigDict, workdir: str | os.PathLike[str]) -> dict[str, float]:
    """Evaluates the newest checkpoint of a workdir, or where it has none the weights of `config.model.init_from`.

    Changes nothing on disk, and prints what it found.

    Returns:
      "loss" and "accuracy" (0..1) over every test example; see `evaluate_all`.

    Raises:
      InputError: bad input, or no weights.
    """
    experiment = set_up(config)
    workdir = pathlib.Path(workdir).expanduser()
    checkpoint = newest_checkpoint(workdir)
    settings = config.model.copy_and_resolve_references()
    settings.init_head = "keep"
    if checkpoint is not None:
        settings.init_from = str(workdir)
    elif settings.init_from is None:
        raise InputError(
            f"workdir {workdir}: holds no checkpoint to evaluate; name weights by --config.model.init_from"
        )
    variables, ranges_missing = read_weights(settings, experiment.model, jax.eval_shape(experiment.initialise))
    if ranges_missing:
        raise InputError(
            f"{settings.init_from}: has no tracked value ranges, by which the configured spec evaluates; "
            "for weights of the release set config.model.spiking.spec=as_released, or train them first"
        )
    test = experiment.source.test
    batches = -(-len(test) // config.batch_size)
    with Progress(batches, 0, config.batch_size, shown=processes.is_main()) as progress:
        progress.say(f"weights  {checkpoint or settings.init_from}")
        progress.say(f"data     {experiment.source.name}: {len(test):,} test images")
        sums = evaluate_all(
            compile_evaluation(experiment.model, experiment.mesh),
            jax.device_put(variables, sharding.replicated(experiment.mesh)),
            experiment,
            config.batch_size,
            advance=progress.advance,
        )
    assert sums is not None  # nothing stops it
    left_out = f" but {sums['unreadable']:,} unreadable ones" if "unreadable" in sums else ""
    if processes.is_main():
        print(
            f"test accuracy {sums['accuracy']:.2%}, loss {sums['loss']:.4f}, "
            f"over all {len(test):,} test images{left_out}"
        )
    return sums


def compile_evaluation(model, mesh: Mesh) -> Evaluate:
    """The evaluation step over the mesh: (variables, batch) -> sums; the variables may lie anywhere on it."""
    step = functools.partial(evaluation_step, apply=model.apply)
    return jax.jit(step, in_shardings=(None, sharding.over_batch(mesh)), out_shardings=sharding.replicated(mesh))


def evaluate_all(
    evaluate: Evaluate,
    variables: Mapping[str, Any],
    experiment: Experiment,
    batch_size: int,
    *,
    advance: Callable[[], object] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Loss and accuracy over every test example, each counted once.

    "unreadable" is there too, if images could not be read: how many, which count as no examples.

    Args:
      evaluate: as `compile_evaluation` makes it.
      variables: the model's.
      experiment: data and devices.
      batch_size: over all devices.
      advance: is called after every batch.
      stop: is asked after every batch; if it says so, there is no result.
    """
    sums = []
    batches = data.evaluation_batches(
        experiment.source.test, experiment.preparation, batch_size=batch_size, reading=experiment.reading
    )
    with contextlib.closing(batches):
        for batch in batches:
            sums.append(evaluate(variables, sharding.put_batch(batch, experiment.mesh)))
            advance()
            if stop():
                return None
    fetched = jax.device_get(sums)
    total = {name: float(np.sum([s[name] for s in fetched])) for name in fetched[0]}
    means = {"loss": total["loss"] / total["count"], "accuracy": total["correct"] / total["count"]}
    return means | ({"unreadable": int(total["replaced"])} if total["replaced"] else {})
