"""What follows from the cost of a step: whether it fits, seconds and days; and the values for JSON."""

import dataclasses
import json

import pytest
from known_costs import COST, Refusing
from known_plans import OUT_OF_MEMORY, plan_from

from hasnn_jax.planning.compilation import Outcome, compile_step
from hasnn_jax.planning.plans import Trial, plain_values

KEYS = [
    "model", "dtype", "image", "statistics_group", "accumulate", "shard_parameters", "batch_size", "topology",
    "devices", "device_kind", "fits", "needed", "available", "cost", "chip", "seconds", "examples", "epochs", "steps",
    "days", "compile_seconds", "cached", "versions",
]  # fmt: skip


def test_days_follow_from_cycles_collectives_and_steps():
    # 1.5e9 cycles at 1.5 GHz, and 1e8 bytes at 1e11 bytes a second.
    found = plain_values(plan_from(Outcome(COST, None, 1.0), epochs=3, batch_size=128))
    assert found["steps"] == 30
    assert found["seconds"] == pytest.approx(
        {"step": 1.001, "cycles": 1.0, "collectives": 0.001, "flops_bound": 0.25, "bytes_bound": 0.5}
    )
    assert found["days"] == pytest.approx(30 * 1.001 / 86400)


def test_compiler_without_estimates_gives_no_time():
    plan = plan_from(Outcome(dataclasses.replace(COST, cycles=None), None, 1.0))
    assert (plan.seconds, plan.days) == (None, None)
    found = plain_values(plan)
    assert (found["seconds"], found["days"]) == (None, None)


def test_not_fitting_is_a_result():
    plan = plan_from(compile_step(lambda: Refusing(OUT_OF_MEMORY), 1, 1))
    assert plan.fits is False
    assert (plan.needed, plan.available) == (18.65 * 2**30, 15.75 * 2**30)
    found = plain_values(plan)
    assert found["fits"] is False
    assert (found["needed"], found["available"]) == (18.65 * 2**30, 15.75 * 2**30)
    assert (found["cost"], found["seconds"], found["days"]) == (None, None, None)


@pytest.mark.parametrize(("limit", "fits"), [(5 * 2**30, True), (5 * 2**30 - 1, False), (None, None)])
def test_local_memory_is_compared_with_what_the_device_reports(limit, fits):
    assert plan_from(Outcome(COST, None, 1.0), chip=None, limit=limit).fits is fits


def test_json_has_these_keys_and_trials_after_a_search_only():
    plan = plan_from(Outcome(COST, None, 1.0))
    found = json.loads(json.dumps(plain_values(plan)))
    assert list(found) == KEYS
    assert (found["image"], found["chip"]["options"]) == ([8, 8, 1], {})
    assert found["cost"] == json.loads(json.dumps(dataclasses.asdict(COST)))
    assert list(found["seconds"]) == ["step", "cycles", "collectives", "flops_bound", "bytes_bound"]
    searched = plain_values(dataclasses.replace(plan, trials=(Trial(256, True), Trial(512, False))))
    assert searched == {
        **plain_values(plan),
        "trials": [{"batch_size": 256, "fits": True}, {"batch_size": 512, "fits": False}],
    }
