"""Training steps with mixed images: loss, gradient and accuracy, on any division among devices and parts."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import several_processes
from linear_model import CLASSES, draw, linear, update

from hasnn_jax.training.mixing import cutmix_of, draw_mix, mixup_of
from hasnn_jax.training.state import create_state
from hasnn_jax.training.steps import cross_entropy, gradients, train_step

HERE = pathlib.Path(__file__).parent
MIXES = {"mixup": mixup_of(0.3), "cutmix": cutmix_of(0.6, jnp.array([1, 1]), 2, 2)}


def by_hand(params, batch, mix, group, smoothing):
    """Losses, whether each image is right, and the gradient of the mean loss, in NumPy and float64."""
    images, one_hot = batch["image"] / 255, np.eye(CLASSES)[batch["label"]]
    count = len(images)
    partner = [i - 1 if i % (group or count) else i + (group or count) - 1 for i in range(count)]
    top, left, bottom, right = np.asarray(mix.box)
    share, weight = float(mix.share), float(mix.weight)
    mixed = weight * images + (1 - weight) * images[partner]
    mixed[:, top:bottom, left:right] = images[partner][:, top:bottom, left:right]
    soft = share * one_hot + (1 - share) * one_hot[partner]
    target = (1 - smoothing) * soft + smoothing / CLASSES
    x = mixed.reshape(count, -1)
    logits = x @ np.asarray(params["kernel"], float) + np.asarray(params["bias"], float)
    log_p = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    residual = (np.exp(log_p) - target) / count
    greater = batch["label"] if share >= 0.5 else batch["label"][partner]
    gradient = {"kernel": x.T @ residual, "bias": residual.sum(axis=0)}
    return -np.sum(target * log_p, axis=1), logits.argmax(axis=1) == greater, gradient


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("group", [None, 2, 3])
@pytest.mark.parametrize("name", sorted(MIXES))
def test_an_update_follows_the_gradient_of_the_mixed_loss(name, group, smoothing):
    variables, batch = draw()
    sums = gradients(
        variables["params"], variables["batch_stats"], batch, MIXES[name],
        apply=linear, mix_group=group, label_smoothing=smoothing,
    )  # fmt: skip
    losses, right, gradient = by_hand(variables["params"], batch, MIXES[name], group, smoothing)
    np.testing.assert_allclose(sums[2]["loss"], losses.sum(), rtol=1e-5)
    assert sums[2]["correct"] == right.sum()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), sums[0], gradient)


def test_cross_entropy_takes_labels_as_soft_targets_too():
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)
    labels = jnp.array([0, 3, 1, 1, 2])
    for smoothing in (0.0, 0.3):
        soft = cross_entropy(logits, jax.nn.one_hot(labels, 4), smoothing)
        np.testing.assert_array_equal(soft, cross_entropy(logits, labels, smoothing))


@pytest.mark.parametrize("name", sorted(MIXES))
@pytest.mark.parametrize(("group", "steps"), [(2, 3), (3, 2)])
def test_accumulation_mixes_the_same_pairs(name, group, steps):
    variables, batch = draw()
    params, stats = variables["params"], variables["batch_stats"]
    whole, in_parts = (
        gradients(params, stats, batch, MIXES[name], apply=linear, mix_group=group, accumulation_steps=n)
        for n in (1, steps)
    )
    for a, b in ((whole[0], in_parts[0]), (whole[2], in_parts[2])):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), a, b)


def test_each_step_draws_its_own_mix_from_its_number():
    variables, batch = draw()
    how = functools.partial(draw_mix, seed=5, mixup=1.0)
    optimizer = optax.sgd(0.5)
    of_model = functools.partial(gradients, apply=linear)
    step = functools.partial(train_step, gradients=of_model, optimizer=optimizer, draw_mix=how)
    state = create_state(variables, optimizer).replace(step=jnp.asarray(41, jnp.int32))
    after, metrics = step(state, batch)
    losses, right, gradient = by_hand(variables["params"], batch, how(jnp.asarray(41), 2, 2), None, 0.0)
    np.testing.assert_allclose(metrics["loss"], losses.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], right.mean(), rtol=1e-6)
    for name, value in variables["params"].items():
        np.testing.assert_allclose(after.params[name], value - 0.5 * gradient[name], atol=1e-6)
    assert step(state.replace(step=jnp.asarray(42, jnp.int32)), batch)[1]["loss"] != metrics["loss"]


def test_a_step_that_does_not_mix_computes_nothing_for_it():
    variables, batch = draw()
    optimizer = optax.sgd(0.5)
    state = create_state(variables, optimizer)
    without = jax.jit(functools.partial(update, optimizer=optimizer)).lower(state, batch).as_text()
    how = functools.partial(draw_mix, seed=5, cutmix=1.0)
    of_model = functools.partial(gradients, apply=linear)
    mixing = functools.partial(train_step, gradients=of_model, optimizer=optimizer, draw_mix=how)
    with_it = jax.jit(mixing).lower(state, batch).as_text()
    for trace in ("threefry", "concatenate"):
        assert trace in with_it
        assert trace not in without


ON_EIGHT_DEVICES = """
import functools, re, sys
import jax, jax.numpy as jnp, numpy as np, optax
sys.path.append(sys.argv[1])
from linear_model import linear
from hasnn_jax.training import sharding
from hasnn_jax.training.mixing import draw_mix
from hasnn_jax.training.program import gradients_over_mesh, make_program

assert jax.device_count() == 8
rng = np.random.default_rng(0)
batches = [{"image": rng.integers(0, 256, (32, 2, 2, 2), dtype=np.uint8), "replaced": np.zeros(32, bool),
            "label": rng.integers(0, 3, 32).astype(np.int32)} for _ in range(6)]
variables = {"params": {"kernel": jnp.asarray(rng.normal(size=(8, 3)), jnp.float32), "bias": jnp.zeros(3)},
             "batch_stats": {"calls": jnp.zeros((), jnp.int32)}}
how = functools.partial(draw_mix, seed=7, mixup=1.0, cutmix=1.0)

def train(devices, group, accumulation_steps=1):
    mesh = sharding.make_mesh(jax.devices()[:devices])
    by_model = gradients_over_mesh(linear, mesh, batch_size=32, statistics_group=group, label_smoothing=0.1,
                                   accumulation_steps=accumulation_steps)
    program = make_program(lambda step: 0.5, optax.sgd(0.5), by_model, variables, mesh, draw_mix=how)
    state, seen = program.begin(variables), []
    step = program.step.lower(state, sharding.put_batch(batches[0], mesh)).compile()
    for batch in batches:
        state, metrics = step(state, sharding.put_batch(batch, mesh))
        seen.append([float(metrics[name]) for name in ("loss", "accuracy")])
    return jax.device_get(state.params), np.array(seen), step.as_text()

losses = {}
for group, layouts in ((4, [(1, 4), (8, 1), (4, 2)]), (None, [(8, 1)])):
    params, seen, _ = train(1, group)
    losses[group] = seen[:, 0]
    for devices, steps in layouts:
        others, seen_there, text = train(devices, group, steps)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), params, others)
        np.testing.assert_allclose(seen_there, seen, rtol=1e-5)
        moved = re.findall("collective-permute|all-to-all|all-gather", text)
        assert bool(moved) == (group != 4), (devices, group, moved)
assert np.abs(losses[4] - losses[None]).max() > 1e-3  # other partners
print("done")
"""


@pytest.mark.slow
def test_mixed_steps_are_the_same_on_any_number_of_devices_and_images_stay_with_their_groups():
    assert several_processes.run(["-c", ON_EIGHT_DEVICES, HERE], devices=8, count=1) == "done\n"
