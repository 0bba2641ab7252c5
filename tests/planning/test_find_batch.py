"""The search for the largest batch that fits, over devices of a pretended size."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_costs import COST, one_device
from tiny_runs import tiny_config

from hasnn_jax.errors import InputError
from hasnn_jax.planning import one_batch
from hasnn_jax.planning.answer import describe
from hasnn_jax.planning.compilation import Outcome
from hasnn_jax.planning.cost import Memory
from hasnn_jax.planning.find_batch import find_batch, largest


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


def pretend_memory(monkeypatch, images):
    """Compiles nothing: as many images a device take as many bytes."""

    def compile_step(lowered, devices, trips):
        share = lowered.args[0].batch_size // devices
        return Outcome(dataclasses.replace(COST, memory=Memory(0, 0, 0, 0, 0, images * share)), None, 1.0)

    monkeypatch.setattr(one_batch, "compile_step", compile_step)


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
    pretend_memory(monkeypatch, images=1)
    said = []
    found = find_batch(tiny_config(**changes), one_device(103), cache=tmp_path, say=said.append)
    assert found["fits"]
    assert found["batch_size"] == best
    assert len(said) == len(found["trials"]) == len({trial["batch_size"] for trial in found["trials"]})
    assert any(line.startswith(f"batch {best}: {best} images a device: fits: ") for line in said)
    assert f"the largest batch that fits; tried: {found['trials'][0]['batch_size']:,} " in describe(found)


def test_no_batch_may_fit_or_all_may(tmp_path, monkeypatch):
    pretend_memory(monkeypatch, images=1)
    least = find_batch(tiny_config(), one_device(3), cache=tmp_path, say=[].append)
    assert (least["fits"], least["batch_size"]) == (False, 8)
    assert "no batch fits; tried: 256 does not, " in describe(least)
    most = find_batch(tiny_config(), one_device(10**9), cache=tmp_path, say=[].append)
    assert (most["fits"], most["batch_size"]) == (True, 1438 // 8 * 8)
    with pytest.raises(InputError, match="does not say how much memory it has"):
        find_batch(tiny_config(), one_device(), cache=tmp_path)
    with pytest.raises(InputError, match="7 examples are fewer than 8 for each of the devices"):
        find_batch(tiny_config(), one_device(1), examples=7, cache=tmp_path)
