"""The plan for the configured batch size."""

import functools
import os
import pathlib

from ml_collections import ConfigDict

from hasnn_jax.common import console
from hasnn_jax.config import validate
from hasnn_jax.planning.cache import cache_key, read_outcome, write_outcome
from hasnn_jax.planning.compilation import compile_step, lower_step
from hasnn_jax.planning.devices import Target
from hasnn_jax.planning.plans import Plan, make_plan
from hasnn_jax.planning.training_examples import count_examples


def plan(
    config: ConfigDict,
    target: Target,
    *,
    cache: str | os.PathLike[str],
    examples: int | None = None,
    say: console.Say = console.say,
) -> Plan:
    """What training would cost on the devices, from the compiled step or from the cache.

    Args:
      config: see `hasnn_jax.config.default_config`.
      target: the devices.
      cache: folder in which outcomes are cached.
      examples: for training; None: as many as the configured data has.
      say: called with a line for the person who waits, if the outcome cannot be cached.

    Raises:
      InputError: bad input, or a compiler that fails for another reason than memory.
    """
    validate(config)
    examples, channels = count_examples(config.data, examples)
    file = pathlib.Path(cache).expanduser() / f"{cache_key(config, target, channels)}.json"
    outcome = read_outcome(file)
    cached = outcome is not None
    if outcome is None:
        lower = functools.partial(lower_step, config, target.mesh, examples, channels)
        share = config.batch_size / target.devices
        with console.Waiting(f"compiling {config.model.name} for {target.name}, {share:g} images a device"):
            outcome = compile_step(lower, target.devices, config.accumulate)
        write_outcome(file, outcome, say)
    return make_plan(config, target, outcome, examples=examples, channels=channels, cached=cached)
