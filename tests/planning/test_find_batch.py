"""The search for the largest batch that fits, with pretended sizes of programs and memory."""

import dataclasses
import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_costs import COST, one_device
from tiny_runs import tiny_config

from hasnn_jax.common.errors import InputError
from hasnn_jax.planning import one_batch
from hasnn_jax.planning.compilation import Outcome
from hasnn_jax.planning.find_batch import find_batch, largest
from hasnn_jax.planning.gpus import GPUS
from hasnn_jax.planning.plan_text import describe
from hasnn_jax.planning.plan_values import plain_values
from hasnn_jax.planning.step_cost import Memory


@given(st.data(), st.integers(1, 5000))
def test_search_finds_the_largest_that_fits_in_few_trials(data, most):
    start = data.draw(st.integers(1, most))
    answer = data.draw(st.integers(0, most))
    tried = []

    def fits(n):
        assert 1 <= n <= most
        tried.append(n)
        return n <= answer

    assert largest(fits, start, most) == answer
    assert len(tried) == len(set(tried)) <= 2 * most.bit_length() + 1
    assert tried[0] == start


def pretend_memory(monkeypatch, bytes_per_image):
    """Compiles nothing: each image takes so many bytes on its device."""

    def compile_step(lower, devices, accumulation_steps):
        share = lower.args[0].batch_size // devices
        return Outcome(dataclasses.replace(COST, memory=Memory(0, 0, 0, 0, 0, bytes_per_image * share)), None, 1.0)

    monkeypatch.setattr(one_batch, "compile_step", compile_step)


def search(cache, target, examples=None, say=lambda _: None, **changes):
    plan = functools.partial(one_batch.plan, target=target, examples=examples, cache=cache, say=pytest.fail)
    return find_batch(plan, tiny_config(**changes), target, examples=examples, say=say)


@pytest.mark.parametrize(
    ("changes", "best"),
    [
        ({}, 96),
        ({"model__statistics_group": 5, "batch_size": 20}, 100),
        ({"model__statistics_group": 3, "accumulate": 4, "batch_size": 12}, 96),
        ({"batch_size": 1024}, 96),
    ],
)
def test_largest_batch_keeps_statistics_groups_whole(changes, best, tmp_path, monkeypatch):
    pretend_memory(monkeypatch, bytes_per_image=1)
    said = []
    found = search(tmp_path, one_device(103), say=said.append, **changes)
    assert found.fits
    assert found.workload.batch_size == best
    assert len(said) == len(found.trials) == len({trial.batch_size for trial in found.trials})
    assert [trial["fits"] for trial in plain_values(found)["trials"]] == [
        " does not fit: " not in line for line in said
    ]
    assert any(line.startswith(f"batch {best}: {best} images a device: fits: ") for line in said)
    assert f"the largest batch that fits; tried: {found.trials[0].batch_size:,} " in describe(found)


def test_largest_batch_for_a_gpu_is_found_though_its_compiler_refuses_none(tmp_path, monkeypatch):
    pretend_memory(monkeypatch, bytes_per_image=1)
    found = search(tmp_path, one_device(103, GPUS["h100"]))
    assert (found.fits, found.workload.batch_size) == (True, 96)
    assert {trial.fits for trial in found.trials} == {True, False}


def test_no_batch_may_fit_or_all_may(tmp_path, monkeypatch):
    pretend_memory(monkeypatch, bytes_per_image=1)
    least = search(tmp_path, one_device(3))
    assert (least.fits, least.workload.batch_size) == (False, 8)
    assert "no batch fits; tried: 256 does not, " in describe(least)
    most = search(tmp_path, one_device(10**9))
    assert (most.fits, most.workload.batch_size) == (True, 1438 // 8 * 8)
    with pytest.raises(InputError, match="does not report how much memory it has"):
        search(tmp_path, one_device())
    with pytest.raises(InputError, match="at least 8 training examples for each of the 1 devices, got 7 in all"):
        search(tmp_path, one_device(1), examples=7)
