"""Plans for a tiny config, from outcomes that are known without a compiler."""

from known_costs import one_device
from tiny_runs import tiny_config

from hasnn_jax.planning.chips import CHIPS
from hasnn_jax.planning.plans import make_plan

OUT_OF_MEMORY = (
    "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 18.65G of 15.75G "
    "hbm. Exceeded hbm capacity by 2.90G."
)


def plan_from(outcome, *, chip=CHIPS["v5e"], limit=CHIPS["v5e"].usable, **changes):
    target = one_device(limit, chip)
    return make_plan(tiny_config(**changes), target, outcome, examples=1280, channels=1, cached=False)
