"""The plan for the batch that is configured."""

import functools
import os
import pathlib
from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.config import validate
from hasnn_jax.planning.answer import answer
from hasnn_jax.planning.cache import CACHE, cache_key, keep_outcome, read_outcome
from hasnn_jax.planning.compilation import compile_step, lower_step
from hasnn_jax.planning.devices import Target
from hasnn_jax.planning.examples import look_at_data
from hasnn_jax.planning.messages import Alive, Say, tell


def plan(
    config: ConfigDict,
    target: Target,
    *,
    examples: int | None = None,
    cache: str | os.PathLike[str] = CACHE,
    say: Say = tell,
) -> dict[str, Any]:
    """What training costs on the devices, from the compiled step or from what was kept of it.

    Args:
      config: see `hasnn_jax.config.default_config`.
      target: the devices.
      examples: for training; None: as many as the configured data has.
      cache: folder that outcomes are kept in.
      say: is told what a person may want to know besides.

    Returns:
      plain values that JSON can hold; see `hasnn_jax.planning.answer.answer`.

    Raises:
      InputError: bad input, or a compiler that fails for another reason than memory.
    """
    validate(config)
    examples, channels = look_at_data(config.data, examples)
    file = pathlib.Path(cache).expanduser() / f"{cache_key(config, target, channels)}.json"
    outcome = read_outcome(file)
    cached = outcome is not None
    if outcome is None:
        make = functools.partial(lower_step, config, target.mesh, examples, channels)
        share = config.batch_size / target.devices
        with Alive(f"compiling {config.model.name} for {target.name}, {share:g} images a device"):
            outcome = compile_step(make, target.devices, config.accumulate)
        keep_outcome(file, outcome, say)
    return answer(config, target, outcome, examples=examples, channels=channels, cached=cached)
