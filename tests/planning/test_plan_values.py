"""A plan as the values that JSON has."""

import dataclasses
import json

import pytest
from known_costs import COST, PROFILE
from known_plans import plan_from

from hasnn_jax.planning.compilation import Outcome
from hasnn_jax.planning.gpus import GPUS
from hasnn_jax.planning.plan_values import plain_values
from hasnn_jax.planning.plans import Trial

KEYS = [
    "model", "dtype", "image", "statistics_group", "accumulate", "shard_parameters", "remat", "batch_size",
    "topology", "devices", "device_kind", "fits", "needed", "available", "cost", "chip", "seconds", "examples",
    "epochs", "steps", "days", "compile_seconds", "cached", "versions",
]  # fmt: skip


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


def test_gpus_have_bounds_and_no_seconds():
    found = json.loads(json.dumps(plain_values(plan_from(Outcome(COST, None, 1.0), chip=GPUS["a100"]))))
    assert list(found) == [*KEYS, "bounds"]
    assert found["seconds"] is None
    assert found["bounds"]["flops"] == pytest.approx(COST.flops / 312e12)
    assert found["bounds"]["step"] == max(found["bounds"]["flops"], found["bounds"]["bytes"])
    assert found["chip"]["capability"] == [8, 0]


def test_profile_is_a_key_on_request():
    found = json.loads(json.dumps(plain_values(plan_from(Outcome(COST, None, 1.0, PROFILE)), profile=True)))
    assert list(found) == [*KEYS, "profile"]
    profile = found["profile"]
    assert (profile["kernels"], profile["cycles"], profile["bytes"]) == (30, 1_500_000_000, 10**8)
    assert profile["unnamed"] == {"kernels": 5, "cycles": 300_000_000, "bytes": 10**7}
    assert sum(part["bytes"] for part in profile["parts"]) == profile["bytes"]
    assert [kernel["name"] for kernel in profile["costliest"]] == ["fusion.7", "copy.1"]
    assert plain_values(plan_from(Outcome(None, None, 1.0)), profile=True)["profile"] is None
