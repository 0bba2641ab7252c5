"""A plan as text: what a person is told and advised."""

import dataclasses

import pytest
from known_costs import COST, PROFILE, Refusing
from known_plans import OUT_OF_MEMORY, plan_from

from hasnn_jax.planning.compilation import Outcome, compile_step
from hasnn_jax.planning.compiler_errors import Refusal
from hasnn_jax.planning.gpus import GPUS
from hasnn_jax.planning.plan_text import advice, describe


def test_text_has_memory_communication_and_time():
    plan = plan_from(Outcome(COST, None, 1.0), epochs=3, batch_size=128)
    text = describe(plan)
    assert "fits: 5.00 GiB of 15.75 GiB a device" in text
    assert "2 all-reduce, 200.000 MB" in text
    assert "1001 ms, 128 images/s" in text
    assert "0.000348 days (30s): 3 epochs of 1,280 examples, 30 steps" in text
    assert text.splitlines()[-1].startswith("compiled by jax ")
    cached = describe(dataclasses.replace(plan, cached=True))
    assert cached.splitlines()[-1].startswith("cached from an earlier compilation by jax ")


def test_compiler_without_estimates_gives_no_time():
    assert "no estimate" in describe(plan_from(Outcome(dataclasses.replace(COST, cycles=None), None, 1.0)))


def test_gpu_has_bounds_kernels_and_its_share_of_memory_and_no_estimate():
    cost = dataclasses.replace(COST, flops=989.4e9, bytes_accessed=67e9, cycles=None)
    text = describe(plan_from(Outcome(cost, None, 1.0), chip=GPUS["h100"], limit=60 * 2**30, batch_size=64))
    assert "fits: 5.00 GiB of 60.00 GiB a device" in text
    assert "67 GB read and written by 30 kernels" in text
    assert "20 ms or more, 3,200 images/s or fewer: a bound, not an estimate" in text
    assert "1 ms   of convolutions and matrix products, at 989.4 TFLOP/s, the peak for dense bfloat16" in text
    assert "of the GPU's 80 GiB" in text
    assert "days" not in text
    small = describe(plan_from(Outcome(cost, None, 1.0), chip=GPUS["h100"], limit=4 * 2**30))
    assert "does not fit: 5.00 GiB of 4.00 GiB a device" in small
    assert "may help" in small


def test_profile_is_told_on_request():
    plan = plan_from(Outcome(COST, None, 1.0, PROFILE))
    assert describe(plan, profile=True).startswith(describe(plan))
    assert "the costliest kernels" in describe(plan, profile=True)
    assert "the costliest kernels" not in describe(plan)


def test_text_for_a_step_that_does_not_fit_has_advice():
    plan = plan_from(compile_step(lambda: Refusing(OUT_OF_MEMORY), 1, 1))
    text = describe(plan)
    assert "does not fit: 18.65 GiB of 15.75 GiB a device" in text
    for way in ("batch_size", "accumulate=2", "model.dtype=bfloat16", "model.remat=spikes"):
        assert f"--config.{way}" in text
    assert "shard_parameters" not in text  # there is one device
    low_precision = dataclasses.replace(plan, workload=dataclasses.replace(plan.workload, dtype="bfloat16"))
    assert "bfloat16" not in describe(low_precision).partition("may help")[2]
    assert "remat" not in advice(plan_from(plan.outcome, model__remat="block"))
    assert "--config.shard_parameters=True" in advice(dataclasses.replace(plan, devices=8))


@pytest.mark.parametrize(
    ("changes", "advised"),
    [
        ({"model__statistics_group": 64}, "--config.accumulate=2,"),
        ({"model__statistics_group": 64, "accumulate": 2}, "--config.accumulate=4,"),
        ({"model__statistics_group": 256}, "--config.accumulate=2 with --config.model.statistics_group=128,"),
        ({}, "--config.accumulate=2 with --config.model.statistics_group=128,"),
        ({"batch_size": 5}, None),
    ],
)
def test_advised_accumulation_steps_have_whole_statistics_groups(changes, advised):
    text = advice(plan_from(Outcome(None, Refusal(2.0, 1.0), 1.0), **changes))
    assert advised in text if advised else "accumulate" not in text
