"""One update and one evaluation of a linear classifier, against sums worked out in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_model import CLASSES, draw, linear, update

from hasnn_jax.training.state import create_state
from hasnn_jax.training.steps import cross_entropy, evaluation_step, gradients, unit_images


def by_hand(params, batch, smoothing=0.0):
    """Per example: loss, whether it is right; and the gradient of the mean loss, in float64."""
    x = batch["image"].reshape(len(batch["label"]), -1) / 255
    logits = x @ np.asarray(params["kernel"], float) + np.asarray(params["bias"], float)
    log_p = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(CLASSES)[batch["label"]] + smoothing / CLASSES
    residual = (np.exp(log_p) - target) / len(x)
    gradient = {"kernel": x.T @ residual, "bias": residual.sum(axis=0)}
    return -np.sum(target * log_p, axis=1), logits.argmax(axis=1) == batch["label"], gradient


def test_images_become_floats_from_zero_to_one():
    images = unit_images(jnp.array([0, 51, 255], jnp.uint8))
    assert images.dtype == jnp.float32
    np.testing.assert_allclose(images, [0.0, 0.2, 1.0], rtol=1e-7)


@pytest.mark.parametrize(
    ("label", "smoothing", "expected"),
    [
        (2, 0.0, np.log(8 / 5)),
        (0, 0.0, np.log(8)),
        (2, 0.3, 0.8 * np.log(8 / 5) + 0.1 * np.log(8) + 0.1 * np.log(4)),
        (0, 0.6, 0.6 * np.log(8) + 0.2 * np.log(4) + 0.2 * np.log(8 / 5)),
    ],
)
def test_cross_entropy_of_probabilities_of_one_two_and_five_eighths(label, smoothing, expected):
    logits = jnp.log(jnp.array([[1.0, 2.0, 5.0]])) + 4.0
    np.testing.assert_allclose(cross_entropy(logits, jnp.array([label]), smoothing), [expected], rtol=1e-6)


def test_cross_entropy_of_large_logits_is_finite():
    logits = jnp.array([[1000.0, 0.0], [1000.0, 0.0]])
    np.testing.assert_allclose(cross_entropy(logits, jnp.array([0, 1])), [0.0, 1000.0])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_update_follows_the_gradient_of_the_mean_loss(smoothing):
    variables, batch = draw()
    optimizer = optax.sgd(0.5)
    state = create_state(variables, optimizer)
    after, metrics = update(state, batch, optimizer, label_smoothing=smoothing)
    losses, right, gradient = by_hand(variables["params"], batch, smoothing)
    np.testing.assert_allclose(metrics["loss"], losses.mean(), rtol=1e-6)
    np.testing.assert_allclose(metrics["accuracy"], right.mean(), rtol=1e-6)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-5)
    for name, value in variables["params"].items():
        np.testing.assert_allclose(after.params[name], value - 0.5 * gradient[name], rtol=0, atol=1e-6)


def test_the_gradient_norm_is_that_before_clipping():
    variables, batch = draw()
    optimizer = optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(1.0))
    state = create_state(variables, optimizer)
    after, metrics = update(state, batch, optimizer)
    _, _, gradient = by_hand(variables["params"], batch)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-5)
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, after.params, state.params))
    np.testing.assert_allclose(moved, 1e-3, rtol=1e-2)


def test_an_update_counts_itself_and_takes_over_the_statistics():
    variables, batch = draw()
    before = state = create_state(variables, optax.sgd(0.1))
    for expected in (1, 2):
        state, _ = update(state, batch, optax.sgd(0.1))
        assert (int(state.step), int(state.batch_stats["calls"])) == (expected, expected)
    assert jax.tree.structure(state) == jax.tree.structure(before)
    assert jax.tree.map(jnp.result_type, state) == jax.tree.map(jnp.result_type, before)


def test_a_model_without_statistics_trains():
    variables, batch = draw()

    def bare(variables, images, *, train, mutable=()):
        logits = images.reshape(len(images), -1) @ variables["params"]["kernel"]
        return (logits, {}) if train else logits

    state = create_state({"params": variables["params"]}, optax.sgd(0.1))
    after, _ = update(state, batch, optax.sgd(0.1), apply=bare)
    assert after.batch_stats == {}


def test_repeated_updates_bring_the_loss_down_and_the_accuracy_up():
    variables, batch = draw(seed=1)
    optimizer = optax.adam(0.05)
    step = jax.jit(functools.partial(update, optimizer=optimizer))
    state = create_state(variables, optimizer)
    losses = []
    for _ in range(150):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.2 * losses[0]
    assert metrics["accuracy"] == 1


@settings(deadline=None, max_examples=25)
@given(st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 100))
def test_evaluation_sums_over_the_real_examples_only(mask, seed):
    variables, batch = draw(seed)
    state = create_state(variables, optax.sgd(0.1))
    mask = np.array(mask)
    sums = evaluation_step(state.variables, {**batch, "mask": mask}, apply=linear)
    losses, right, _ = by_hand(variables["params"], batch)
    np.testing.assert_allclose(sums["loss"], losses[mask].sum(), rtol=1e-5)
    assert sums["correct"] == right[mask].sum()
    assert sums["count"] == mask.sum()


def test_what_a_filling_example_gives_does_not_matter_even_if_it_is_not_a_number():
    variables, batch = draw()

    def breaks_on_the_last(variables, images, *, train):
        return linear(variables, images, train=train).at[-1].set(jnp.nan)

    state = create_state(variables, optax.sgd(0.1))
    mask = np.arange(6) < 5
    sums = evaluation_step(state.variables, {**batch, "mask": mask}, apply=breaks_on_the_last)
    losses, right, _ = by_hand(variables["params"], batch)
    np.testing.assert_allclose(sums["loss"], losses[:5].sum(), rtol=1e-5)
    assert (sums["correct"], sums["count"]) == (right[:5].sum(), 5)


def test_a_fresh_state_is_at_step_zero_with_an_empty_window():
    state = create_state(draw()[0], optax.sgd(0.1))
    assert int(state.step) == 0
    assert state.step.dtype == jnp.int32
    assert {name: float(value) for name, value in state.window.items()} == dict.fromkeys(state.window, 0.0)


@pytest.mark.parametrize("steps", [2, 3, 6])
def test_accumulated_gradients_are_those_of_the_whole_batch(steps):
    variables, batch = draw()
    params, stats = variables["params"], {"calls": jnp.ones((), jnp.int32), "mean": jnp.zeros(())}

    def tracking(variables, images, *, train, mutable):
        logits, _ = linear(variables, images, train=train, mutable=mutable)
        return logits, {"batch_stats": {"calls": variables["batch_stats"]["calls"] + 1, "mean": jnp.mean(images)}}

    whole = gradients(params, stats, batch, apply=tracking)
    in_parts = gradients(params, stats, batch, apply=tracking, accumulation_steps=steps)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), whole, in_parts)
    assert jax.tree.map(jnp.result_type, whole) == jax.tree.map(jnp.result_type, in_parts)
    assert int(in_parts[1]["calls"]) == 2  # one batch was tracked, however it was gone through


def test_an_accumulation_step_takes_consecutive_examples():
    variables, batch = draw()
    seen = []

    def noting(variables, images, *, train, mutable):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), images)
        return linear(variables, images, train=train, mutable=mutable)

    gradients(variables["params"], variables["batch_stats"], batch, apply=noting, accumulation_steps=3)
    jax.effects_barrier()
    shown = sorted(images[0].tolist() for images in seen)
    expected = np.asarray(unit_images(jnp.asarray(batch["image"]))).reshape(3, 2, 2, 2, 2)
    assert shown == sorted(part[0].tolist() for part in expected)
