"""One update and one evaluation of a linear classifier, against sums worked out in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.training.state import create_state
from hasnn_jax.training.steps import cross_entropy, evaluation_step, gradients, train_step, unit_images

CLASSES = 3


def linear(variables, images, *, train, mutable=()):
    """A linear classifier in the manner of a Flax module; it counts its training calls in its statistics."""
    params = variables["params"]
    flat = images.reshape(len(images), -1)
    logits = flat @ params["kernel"] + params["bias"][None]
    if not train:
        return logits
    assert mutable == ["batch_stats"]
    return logits, {"batch_stats": {"calls": variables["batch_stats"]["calls"] + 1}}


def draw(seed=0, count=6):
    rng = np.random.default_rng(seed)
    params = {
        "kernel": jnp.asarray(rng.normal(size=(8, CLASSES)), jnp.float32),
        "bias": jnp.asarray(rng.normal(size=CLASSES), jnp.float32),
    }
    batch = {
        "image": rng.integers(0, 256, (count, 2, 2, 2), dtype=np.uint8),
        "label": rng.integers(0, CLASSES, count).astype(np.int32),
        "replaced": rng.random(count) < 0.5,
    }
    return {"params": params, "batch_stats": {"calls": jnp.zeros((), jnp.int32)}}, batch


def update(state, batch, optimizer, *, apply=linear, average_decay=None, **how):
    """One step of `train_step` by the gradients of a model."""
    of_model = functools.partial(gradients, apply=apply, **how)
    return train_step(state, batch, gradients=of_model, optimizer=optimizer, average_decay=average_decay)


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
    state = create_state(variables, optimizer, seed=0)
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
    state = create_state(variables, optimizer, seed=0)
    after, metrics = update(state, batch, optimizer)
    _, _, gradient = by_hand(variables["params"], batch)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-5)
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, after.params, state.params))
    np.testing.assert_allclose(moved, 1e-3, rtol=1e-2)


def test_an_update_counts_itself_keeps_the_key_and_takes_over_the_statistics():
    variables, batch = draw()
    state = create_state(variables, optax.sgd(0.1), seed=3)
    for expected in (1, 2):
        before = state
        state, _ = update(state, batch, optax.sgd(0.1))
        assert (int(state.step), int(state.batch_stats["calls"])) == (expected, expected)
        np.testing.assert_array_equal(state.key, before.key)
    assert jax.tree.structure(state) == jax.tree.structure(before)
    assert jax.tree.map(jnp.result_type, state) == jax.tree.map(jnp.result_type, before)


def test_a_model_without_statistics_trains():
    variables, batch = draw()

    def bare(variables, images, *, train, mutable=()):
        logits = images.reshape(len(images), -1) @ variables["params"]["kernel"]
        return (logits, {}) if train else logits

    state = create_state({"params": variables["params"]}, optax.sgd(0.1), seed=0)
    after, _ = update(state, batch, optax.sgd(0.1), apply=bare)
    assert after.batch_stats == {}


def test_repeated_updates_bring_the_loss_down_and_the_accuracy_up():
    variables, batch = draw(seed=1)
    optimizer = optax.adam(0.05)
    step = jax.jit(functools.partial(update, optimizer=optimizer))
    state = create_state(variables, optimizer, seed=0)
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
    state = create_state(variables, optax.sgd(0.1), seed=0)
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

    state = create_state(variables, optax.sgd(0.1), seed=0)
    mask = np.arange(6) < 5
    sums = evaluation_step(state.variables, {**batch, "mask": mask}, apply=breaks_on_the_last)
    losses, right, _ = by_hand(variables["params"], batch)
    np.testing.assert_allclose(sums["loss"], losses[:5].sum(), rtol=1e-5)
    assert (sums["correct"], sums["count"]) == (right[:5].sum(), 5)


def test_a_fresh_state_is_at_step_zero_and_its_key_depends_on_the_seed():
    variables, _ = draw()
    first, again, other = (create_state(variables, optax.sgd(0.1), seed) for seed in (7, 7, 8))
    assert int(first.step) == 0
    assert first.step.dtype == jnp.int32
    assert (first.key.dtype, first.key.shape) == (jnp.uint32, (2,))
    np.testing.assert_array_equal(first.key, again.key)
    assert not np.array_equal(first.key, other.key)


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_a_batch_gone_through_in_parts_gives_what_it_gives_as_a_whole(parts):
    variables, batch = draw()
    params, stats = variables["params"], {"calls": jnp.ones((), jnp.int32), "mean": jnp.zeros(())}

    def tracking(variables, images, *, train, mutable):
        logits, _ = linear(variables, images, train=train, mutable=mutable)
        return logits, {"batch_stats": {"calls": variables["batch_stats"]["calls"] + 1, "mean": jnp.mean(images)}}

    whole = gradients(params, stats, batch, apply=tracking)
    in_parts = gradients(params, stats, batch, apply=tracking, parts=parts)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), whole, in_parts)
    assert jax.tree.map(jnp.result_type, whole) == jax.tree.map(jnp.result_type, in_parts)
    assert int(in_parts[1]["calls"]) == 2  # one batch was tracked, however it was gone through


def test_parts_are_consecutive_examples():
    variables, batch = draw()
    seen = []

    def noting(variables, images, *, train, mutable):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), images)
        return linear(variables, images, train=train, mutable=mutable)

    gradients(variables["params"], variables["batch_stats"], batch, apply=noting, parts=3)
    jax.effects_barrier()
    shown = sorted(images[0].tolist() for images in seen)
    expected = np.asarray(unit_images(jnp.asarray(batch["image"]))).reshape(3, 2, 2, 2, 2)
    assert shown == sorted(part[0].tolist() for part in expected)


def test_the_window_sums_what_the_steps_measured():
    variables, batch = draw()
    optimizer = optax.sgd(0.1)
    state = create_state(variables, optimizer, seed=0)
    measured = []
    for _ in range(3):
        state, metrics = update(state, batch, optimizer)
        measured.append(metrics)
    for name in ("loss", "accuracy", "gradient_norm"):
        np.testing.assert_allclose(state.window[name], sum(m[name] for m in measured), rtol=1e-6)
    assert int(state.window["steps"]) == 3
    assert int(state.window["replaced"]) == 3 * batch["replaced"].sum()
    assert int(state.window["diverged"]) == 0


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_the_window_remembers_the_first_step_that_was_not_finite(bad):
    variables, batch = draw()
    optimizer = optax.sgd(0.1)
    state = create_state(variables, optimizer, seed=0)
    state, _ = update(state, batch, optimizer)
    state = state.replace(params={**state.params, "bias": state.params["bias"].at[0].set(bad)})
    for _ in range(2):
        state, _ = update(state, batch, optimizer)
    assert int(state.window["diverged"]) == 2


def test_a_gradient_that_is_not_finite_counts_as_divergence_though_the_loss_is():
    variables, batch = draw()

    def steep(variables, images, *, train, mutable=()):
        kernel = variables["params"]["kernel"]
        return linear(variables, images, train=train, mutable=mutable)[0] + jnp.sqrt(kernel[:1] * 0), {}

    state = create_state(variables, optax.sgd(0.1), seed=0)
    after, measured = update(state, batch, optax.sgd(0.1), apply=steep)
    assert np.isfinite(measured["loss"])
    assert int(after.window["diverged"]) == 1


def test_averaged_weights_follow_the_weights_and_are_what_is_evaluated():
    variables, batch = draw()
    optimizer = optax.sgd(0.5)
    state = create_state(variables, optimizer, seed=0, averaged=True)
    expected = np.asarray(state.params["kernel"], float)
    for step in range(1, 40):
        state, _ = update(state, batch, optimizer, average_decay=0.7)
        decay = min(0.7, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * np.asarray(state.params["kernel"], float)
    np.testing.assert_allclose(state.average["kernel"], expected, rtol=1e-5)
    assert state.variables["params"] is state.average
    assert not np.allclose(state.average["kernel"], state.params["kernel"], rtol=1e-4)


def test_without_averaging_the_weights_themselves_are_evaluated():
    state = create_state(draw()[0], optax.sgd(0.1), seed=0)
    assert state.average == {}
    assert state.variables["params"] is state.params
