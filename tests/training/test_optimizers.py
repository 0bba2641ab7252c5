"""Optimizers and schedules against values worked out by hand. tests/peers compares them with PyTorch's."""

import inspect

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.common.lookup import call_with
from hasnn_jax.training import optimizers

LR = 0.5


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_constant_stays_the_same_and_takes_the_timing_of_the_others():
    schedule = optimizers.constant(0.25)
    assert list(rates(schedule, [0, 1, 1000])) == [0.25] * 3


def test_warmup_then_cosine_once_an_epoch():
    schedule = optimizers.warmup_cosine(LR, epochs=6, steps_per_epoch=2, warmup_epochs=2)
    # Warm-up: from 0.5 * 0.05, half-way 0.5 * (0.05 + 1) / 2, to 0.5; cosine of 0, 45, 90 and 135 degrees; then zero.
    epochs = [0.025, 0.2625, 0.5, 0.4267767, 0.25, 0.0732233, 0.0, 0.0]
    np.testing.assert_allclose(rates(schedule, range(16)), np.repeat(epochs, 2), rtol=0, atol=1e-7)


def test_warmup_then_cosine_every_step():
    schedule = optimizers.warmup_cosine(
        LR, epochs=3, steps_per_epoch=2, warmup_epochs=1, warmup_start=0.2, per_epoch=False
    )
    expected = [0.1, 0.3, 0.5, 0.4267767, 0.25, 0.0732233, 0.0, 0.0]
    np.testing.assert_allclose(rates(schedule, range(8)), expected, rtol=0, atol=1e-7)


def test_without_warmup_it_starts_at_the_top():
    schedule = optimizers.warmup_cosine(LR, epochs=2, steps_per_epoch=5, warmup_epochs=0)
    np.testing.assert_allclose(rates(schedule, [0, 4, 5, 9, 10]), [0.5, 0.5, 0.25, 0.25, 0.0], atol=1e-7)


def test_a_run_shorter_than_the_warmup_rises_over_all_of_it():
    schedule = optimizers.warmup_cosine(LR, epochs=2, steps_per_epoch=1, warmup_epochs=5, warmup_start=0.5)
    np.testing.assert_allclose(rates(schedule, [0, 1]), [0.25, 0.375], atol=1e-7)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 12), st.integers(1, 7), st.integers(0, 14), st.floats(0, 1), st.booleans())
def test_the_rate_rises_then_falls_and_never_leaves_zero_to_its_peak(epochs, steps_per_epoch, warmup, start, per_epoch):
    schedule = optimizers.warmup_cosine(
        LR,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        warmup_epochs=warmup,
        warmup_start=start,
        per_epoch=per_epoch,
    )
    values = np.asarray(schedule(jnp.arange(98)))[: (epochs + 2) * steps_per_epoch]
    top = min(warmup, epochs) * steps_per_epoch
    assert values.min() >= 0
    assert values.max() <= LR + 1e-6
    assert np.all(np.diff(values[:top]) >= -1e-6)
    assert np.all(np.diff(values[top:]) <= 1e-6)
    if per_epoch:
        np.testing.assert_array_equal(values, np.repeat(values[::steps_per_epoch], steps_per_epoch))


def first_updates(optimizer, gradient, param, count=1):
    """The updates that a constant gradient gives to a constant parameter."""
    params = {"w": jnp.array([param])}
    state = optimizer.init(params)
    updates = []
    for _ in range(count):
        update, state = optimizer.update({"w": jnp.array([gradient])}, state, params)
        updates.append(float(update["w"][0]))
    return updates


# A parameter of 2, a gradient of -0.1, a weight decay of 0.25: with L2 the gradient becomes +0.4 and changes its sign.
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda lr: optimizers.adam(lr, 0.25), [-LR, -LR]),  # lr times the sign of the gradient with L2
        (lambda lr: optimizers.adamw(lr, 0.25), [LR * (1 - 0.25 * 2)] * 2),  # minus the sign of the bare gradient
        (lambda lr: optimizers.sgd(lr, 0.25, momentum=0.0), [-LR * 0.4] * 2),
        (
            lambda lr: optimizers.sgd(lr, 0.25, momentum=0.9),  # velocities 0.4 and 0.4 + 0.9 * 0.4 = 0.76
            [-LR * (0.4 + 0.9 * 0.4), -LR * (0.4 + 0.9 * 0.76)],
        ),
    ],
    ids=["adam", "adamw", "sgd", "sgd with Nesterov momentum"],
)
def test_weight_decay_joins_the_gradient_but_for_adamw(make, expected):
    updates = first_updates(make(optax.constant_schedule(LR)), gradient=-0.1, param=2.0, count=2)
    np.testing.assert_allclose(updates, expected, rtol=1e-4)  # float32 and b2 of 0.999


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_every_optimizer_follows_its_schedule(name):
    def schedule(step):
        return jnp.where(step < 2, 0.0, 0.1)

    updates = first_updates(
        call_with(optimizers.OPTIMIZERS[name], {"schedule": schedule, "weight_decay": 0.0, "momentum": 0.9}),
        gradient=1.0,
        param=1.0,
        count=3,
    )
    assert updates[:2] == [0.0, 0.0]
    assert updates[2] < -0.05


@pytest.mark.parametrize(("gradient", "expected"), [((3.0, 4.0), (0.6, 0.8)), ((0.3, 0.4), (0.3, 0.4))])
def test_clipping_bounds_the_norm_over_all_parameters(gradient, expected):
    optimizer = optimizers.clipped(optax.identity(), norm=1.0)
    gradients = {"a": jnp.array([gradient[0]]), "b": jnp.array(gradient[1])}
    updates, _ = optimizer.update(gradients, optimizer.init(gradients))
    np.testing.assert_allclose([updates["a"][0], updates["b"]], expected, rtol=1e-6)


def test_clipping_the_root_mean_square_bounds_each_parameter_for_itself():
    optimizer = optimizers.clipped(optax.identity(), rms=0.1)
    gradients = {"large": jnp.array([3e6, -4e6]), "small": jnp.array([0.03, 0.04])}
    updates, _ = optimizer.update(gradients, optimizer.init(gradients))
    direction = np.array([3.0, -4.0]) / np.sqrt((3**2 + 4**2) / 2)
    np.testing.assert_allclose(updates["large"], 0.1 * direction, rtol=1e-6)
    np.testing.assert_array_equal(updates["small"], gradients["small"])


def test_the_root_mean_square_is_clipped_before_the_norm():
    optimizer = optimizers.clipped(optax.identity(), norm=1.0, rms=1.0)
    gradients = {"a": jnp.array(1e6), "b": jnp.array(2.0)}
    updates, _ = optimizer.update(gradients, optimizer.init(gradients))
    np.testing.assert_allclose([updates["a"], updates["b"]], [2**-0.5, 2**-0.5], rtol=1e-6)


@pytest.mark.parametrize("limit", ["norm", "rms"])
def test_clipping_comes_before_weight_decay(limit):
    optimizer = optimizers.clipped(optimizers.sgd(optax.constant_schedule(1.0), 0.5, momentum=0.0), **{limit: 1.0})
    np.testing.assert_allclose(first_updates(optimizer, gradient=100.0, param=4.0), [-(1.0 + 0.5 * 4.0)], rtol=1e-6)


def test_without_limits_the_optimizer_stays_as_it_is():
    optimizer = optax.sgd(0.1)
    assert optimizers.clipped(optimizer) is optimizer


@pytest.mark.parametrize("table", [optimizers.OPTIMIZERS, optimizers.SCHEDULES])
def test_tables_hold_every_public_maker_under_its_own_name(table):
    for name, make in table.items():
        assert make.__name__ == name
    public = {
        name
        for name, function in inspect.getmembers(optimizers, inspect.isfunction)
        if function.__module__ == optimizers.__name__
    }
    assert public == optimizers.OPTIMIZERS.keys() | optimizers.SCHEDULES.keys() | {"clipped"}
