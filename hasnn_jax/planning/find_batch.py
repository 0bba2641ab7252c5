"""The search for the largest batch that fits."""

import dataclasses
from collections.abc import Callable

from ml_collections import ConfigDict

from hasnn_jax.common import console
from hasnn_jax.common.errors import InputError
from hasnn_jax.config import validate
from hasnn_jax.planning.devices import Target
from hasnn_jax.planning.plan_text import verdict
from hasnn_jax.planning.plans import Plan, Trial
from hasnn_jax.planning.training_examples import count_examples

SEARCH_STEP = 8  # images a device, where there are no statistics groups to keep whole


def find_batch(
    plan: Callable[[ConfigDict], Plan],
    config: ConfigDict,
    target: Target,
    *,
    examples: int | None = None,
    say: console.Say = console.say,
) -> Plan:
    """The plan for the largest batch that fits, with the trials of the search; if none fits, for the smallest.

    Each accumulation step of each device has whole statistics groups; without groups, a multiple of 8 images.

    Args:
      plan: config -> plan, as `hasnn_jax.planning.one_batch.plan` with all but the config bound.
      config: the search changes its batch size and starts from it.
      target: the devices of the plan.
      examples: of the plan.
      say: called with a line on each trial.

    Raises:
      InputError: the device does not report its memory, there are too few examples, or `plan` raises it.
    """
    if target.limit is None:
        raise InputError(f"--find_batch: {target.kind} does not report how much memory it has")
    validate(config)
    count, _ = count_examples(config.data, examples)
    unit = (config.model.statistics_group or SEARCH_STEP) * config.accumulate
    tried: dict[int, Plan] = {}

    def fits(units: int) -> bool:
        changed = config.copy_and_resolve_references()
        changed.batch_size = units * unit * target.devices
        tried[units] = plan(changed)
        say(f"batch {changed.batch_size:,}: {units * unit} images a device: {verdict(tried[units])}")
        return bool(tried[units].fits)

    most = count // (unit * target.devices)
    if not most:
        raise InputError(
            f"--find_batch: expected at least {unit} training examples for each of the {target.devices} devices, "
            f"got {count:,} in all"
        )
    start = min(max(1, config.batch_size // (unit * target.devices)), most)
    found = largest(fits, start, most)
    trials = tuple(Trial(each.workload.batch_size, bool(each.fits)) for each in tried.values())
    return dataclasses.replace(tried[found or 1], trials=trials)


def largest(fits: Callable[[int], bool], start: int, most: int) -> int:
    """The largest number from 1 to `most` that fits, 0 if none does; where one fits, all smaller ones do.

    Doubles or halves from `start` until the answer lies between two trials, then bisects.
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
