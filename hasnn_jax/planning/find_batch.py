"""The search for the largest batch that fits."""

import os
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.config import validate
from hasnn_jax.errors import InputError
from hasnn_jax.planning.answer import verdict
from hasnn_jax.planning.cache import CACHE
from hasnn_jax.planning.devices import Target
from hasnn_jax.planning.examples import look_at_data
from hasnn_jax.planning.messages import Say, tell
from hasnn_jax.planning.one_batch import plan

SEARCH_STEP = 8  # images a device, where there are no statistics groups to keep whole


def find_batch(
    config: ConfigDict,
    target: Target,
    *,
    examples: int | None = None,
    cache: str | os.PathLike[str] = CACHE,
    say: Say = tell,
) -> dict[str, Any]:
    """The plan for the largest batch that fits, with the trials under "trials"; arguments as of `plan`.

    Each device's share is a multiple of the statistics group (without one, of 8 images), in every part that is gone
    through.

    Raises:
      InputError: as `plan`; or the device does not say how much memory it has.
    """
    if target.limit is None:
        raise InputError(f"--find_batch: {target.kind} does not say how much memory it has")
    validate(config)
    examples, _ = look_at_data(config.data, examples)
    unit = (config.model.statistics_group or SEARCH_STEP) * config.accumulate
    tried: dict[int, dict[str, Any]] = {}

    def fits(units: int) -> bool:
        changed = config.copy_and_resolve_references()
        changed.batch_size = units * unit * target.devices
        tried[units] = plan(changed, target, examples=examples, cache=cache, say=say)
        say(f"batch {changed.batch_size:,}: {units * unit} images a device: {verdict(tried[units])}")
        return tried[units]["fits"]

    most = examples // (unit * target.devices)
    if not most:
        raise InputError(f"--find_batch: {examples:,} examples are fewer than {unit} for each of the devices")
    start = min(max(1, config.batch_size // (unit * target.devices)), most)
    found = largest(fits, start, most)
    trials = [{"batch_size": t["batch_size"], "fits": t["fits"]} for t in tried.values()]
    return {**tried[found or 1], "trials": trials}


def largest(fits: Callable[[int], bool], start: int, most: int) -> int:
    """The largest number from 1 to `most` that fits, 0 if none does; where one fits, all smaller ones do.

    Doubles or halves from `start` until it is passed, then bisects.
    """
    low, high = 0, most + 1  # low fits, high does not
    at = start
    while low < at < high:
        if fits(at):
            low = at
            at = min(2 * at, most) if high > most else high
        else:
            high = at
            at = at // 2 if low == 0 else low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
