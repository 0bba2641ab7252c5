"""The smallest training runs that are still real: a few steps of a narrow hybrid network on the digits."""

import functools
import json

import jax

from hasnn_jax.config import default_config


def tiny_config(**changes):
    """A config that trains for two epochs of five steps; `changes` are dotted keys with __ for the dots."""
    config = default_config()
    config.epochs = 2
    config.batch_size = 256
    config.model.name = "has8_vgg_b1_m1_d1"
    config.log_every_steps = 2
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        target = functools.reduce(getattr, section.split("__"), config) if section else config
        target[name] = value
    return config


def records(workdir):
    """What a run has in its metrics file, line by line."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def assert_trees_equal(a, b):
    """Every leaf is the same to the bit."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), a, b))
