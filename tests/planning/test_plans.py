"""What follows from the cost of a step: whether it fits, seconds, bounds and days."""

import dataclasses

import pytest
from known_costs import COST, Refusing
from known_plans import OUT_OF_MEMORY, plan_from

from hasnn_jax.planning.compilation import Outcome, compile_step
from hasnn_jax.planning.gpus import GPUS
from hasnn_jax.planning.plan_values import plain_values


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


@pytest.mark.parametrize(("limit", "fits"), [(5 * 2**30, True), (5 * 2**30 - 1, False)])
def test_program_that_compiles_for_a_gpu_may_still_not_fit(limit, fits):
    plan = plan_from(Outcome(COST, None, 1.0), chip=GPUS["h100"], limit=limit)
    assert plan.fits is fits
    assert (plan.needed, plan.available) == (5 * 2**30, limit)


def test_bounds_of_a_gpu_are_work_over_published_rates_and_no_estimate():
    cost = dataclasses.replace(COST, flops=989.4e12 * 0.002, bytes_accessed=3350e9 * 0.02, cycles=None)
    plan = plan_from(Outcome(cost, None, 1.0), chip=GPUS["h100"])
    assert plan.bounds.flops == pytest.approx(0.002)
    assert plan.bounds.bytes == pytest.approx(0.02)
    assert plan.bounds.step == plan.bounds.bytes
    assert (plan.seconds, plan.days) == (None, None)
    assert plan_from(Outcome(None, None, 1.0), chip=GPUS["h100"]).bounds is None
    assert plan_from(Outcome(COST, None, 1.0)).bounds is None


@pytest.mark.parametrize(("limit", "fits"), [(5 * 2**30, True), (5 * 2**30 - 1, False), (None, None)])
def test_local_memory_is_compared_with_what_the_device_reports(limit, fits):
    assert plan_from(Outcome(COST, None, 1.0), chip=None, limit=limit).fits is fits
