"""The answer from a cost: what it means in seconds and days, and what a person is told and advised."""

import dataclasses

import pytest
from known_costs import COST, Refusing, one_device
from tiny_runs import tiny_config

from hasnn_jax.planning.answer import advice, answer, describe
from hasnn_jax.planning.chips import CHIPS
from hasnn_jax.planning.compilation import Outcome, compile_step
from hasnn_jax.planning.compiler_errors import Refusal

OUT_OF_MEMORY = (
    "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 18.65G of 15.75G "
    "hbm. Exceeded hbm capacity by 2.90G."
)


def answered(outcome, *, chip=CHIPS["v5e"], cached=False, **changes):
    target = one_device(chip.usable if chip else None, chip)
    return answer(tiny_config(**changes), target, outcome, examples=1280, channels=1, cached=cached)


def test_days_follow_from_cycles_collectives_and_steps():
    # 1.5e9 cycles at 1.5 GHz, and 1e8 bytes at 1e11 bytes a second.
    found = answered(Outcome(COST, None, 1.0), epochs=3, batch_size=128)
    assert found["steps"] == 30
    assert found["seconds"] == pytest.approx(
        {"step": 1.001, "cycles": 1.0, "collectives": 0.001, "flops_bound": 0.25, "bytes_bound": 0.5}
    )
    assert found["days"] == pytest.approx(30 * 1.001 / 86400)
    text = describe(found)
    assert "fits: 5.00 GiB of 15.75 GiB a device" in text
    assert "2 all-reduce, 200.000 MB" in text
    assert "1001 ms, 128 images/s" in text
    assert "0.000348 days (30s): 3 epochs of 1,280 examples, 30 steps" in text
    assert text.splitlines()[-1].startswith("compiled by jax ")
    kept = describe({**found, "cached": True})
    assert kept.splitlines()[-1].startswith("kept from an earlier compilation by jax ")


def test_compiler_without_estimates_gives_no_time():
    silent = dataclasses.replace(COST, cycles=None)
    found = answered(Outcome(silent, None, 1.0))
    assert (found["seconds"], found["days"]) == (None, None)
    assert "no estimate" in describe(found)


def test_not_fitting_is_an_answer():
    outcome = compile_step(lambda: Refusing(OUT_OF_MEMORY), 1, 1)
    found = answered(outcome)
    assert found["fits"] is False
    assert (found["needed"], found["available"]) == (18.65 * 2**30, 15.75 * 2**30)
    text = describe(found)
    assert "does not fit: 18.65 GiB of 15.75 GiB a device" in text
    for way in ("smaller --config.batch_size", "--config.accumulate=2", "--config.model.dtype=bfloat16"):
        assert way in text
    assert "shard_parameters" not in text  # there is one device
    assert "bfloat16" not in describe({**found, "dtype": "bfloat16"}).partition("may help")[2]
    assert "--config.shard_parameters=True" in advice({**found, "devices": 8})


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
def test_advised_parts_hold_whole_statistics_groups(changes, advised):
    text = advice(answered(Outcome(None, Refusal(2.0, 1.0), 1.0), **changes))
    assert advised in text if advised else "accumulate" not in text


@pytest.mark.parametrize(("limit", "fits"), [(5 * 2**30, True), (5 * 2**30 - 1, False)])
def test_local_memory_is_compared_with_what_the_device_says(limit, fits):
    target = one_device(limit)
    found = answer(tiny_config(), target, Outcome(COST, None, 1.0), examples=1280, channels=1, cached=False)
    assert found["fits"] is fits
