"""Optimizers, schedules and loss give the same numbers as those of PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hasnn_jax.training import optimizers
from hasnn_jax.training.steps import cross_entropy

torch = pytest.importorskip("torch")

STEPS = 12
SHAPES = {"kernel": (5, 4), "bias": (4,)}
# SequentialLR passes the epoch to the next schedule in a way that PyTorch itself has deprecated.
sequential_lr = pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")


@pytest.mark.parametrize(
    ("make_ours", "make_theirs"),
    [
        pytest.param(
            lambda lr: optimizers.adam(lr, 1e-3),
            lambda p: torch.optim.Adam(p, lr=1.0, weight_decay=1e-3),
            id="Adam with L2",
        ),
        pytest.param(
            lambda lr: optimizers.adamw(lr, 0.05), lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=0.05), id="AdamW"
        ),
        pytest.param(
            lambda lr: optimizers.sgd(lr, 5e-4),
            lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9, nesterov=True, weight_decay=5e-4),
            id="SGD with Nesterov momentum",
        ),
        pytest.param(
            lambda lr: optimizers.sgd(lr, 5e-4, momentum=0.0),
            lambda p: torch.optim.SGD(p, lr=1.0, weight_decay=5e-4),
            id="SGD without momentum",
        ),
    ],
)
def test_optimizer_equals_pytorchs(make_ours, make_theirs, x64):
    def learning_rate(step):
        return 0.02 * (step + 1) / STEPS

    start, gradients = draw_problem()
    tensors = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    theirs = make_theirs(tensors.values())
    ours = make_ours(learning_rate)
    params = jax.tree.map(jnp.asarray, start)
    state = ours.init(params)
    for step, gradient in enumerate(gradients):
        for group in theirs.param_groups:
            group["lr"] = learning_rate(step)
        torch_update(theirs, tensors, gradient)
        updates, state = ours.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        for name, tensor in tensors.items():
            np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=name)


@sequential_lr
def test_sgd_under_warmup_and_cosine_equals_pytorchs(x64):
    start, gradients = draw_problem()
    tensors = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    theirs = torch.optim.SGD(tensors.values(), lr=0.5, momentum=0.9, nesterov=True, weight_decay=5e-4)
    scheduler = torch_warmup_cosine(theirs, warmup=2, total=6)
    schedule = optimizers.warmup_cosine(0.5, epochs=6, steps_per_epoch=2, warmup_epochs=2)
    ours = optimizers.sgd(schedule, 5e-4)
    params = jax.tree.map(jnp.asarray, start)
    state = ours.init(params)
    for step, gradient in enumerate(gradients):
        torch_update(theirs, tensors, gradient)
        if step % 2 == 1:
            scheduler.step()
        updates, state = ours.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        for name, tensor in tensors.items():  # the schedule is float32
            np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=0, atol=1e-6, err_msg=name)


@sequential_lr
@pytest.mark.parametrize(("learning_rate", "warmup", "total"), [(0.1 * 16 / 256, 5, 100), (0.5, 3, 10), (0.1, 1, 4)])
def test_schedule_equals_linear_lr_then_cosine_annealing_lr(learning_rate, warmup, total):
    expected = torch_learning_rates(learning_rate, warmup, total)
    schedule = optimizers.warmup_cosine(learning_rate, epochs=total, steps_per_epoch=7, warmup_epochs=warmup)
    close = {"rtol": 0, "atol": 1e-6 * learning_rate}
    for step_of_epoch in (0, 6):
        steps = np.arange(total) * 7 + step_of_epoch
        np.testing.assert_allclose([schedule(step) for step in steps], expected, **close)


@sequential_lr
def test_schedule_per_step_equals_pytorchs_stepped_per_step():
    expected = torch_learning_rates(0.1, 2 * 5, 6 * 5)
    schedule = optimizers.warmup_cosine(0.1, epochs=6, steps_per_epoch=5, warmup_epochs=2, per_epoch=False)
    np.testing.assert_allclose([schedule(step) for step in range(30)], expected, rtol=0, atol=1e-7)


def test_clipping_equals_pytorchs(x64):
    _, gradients = draw_problem()
    ours = optimizers.clipped(optax.identity(), norm=2.0)
    for scale in (0.01, 1.0, 100.0):
        gradient = {name: scale * value for name, value in gradients[0].items()}
        tensors = {name: torch.zeros(value.shape, dtype=torch.float64) for name, value in gradient.items()}
        for name, value in gradient.items():
            tensors[name].grad = torch.tensor(value)
        torch.nn.utils.clip_grad_norm_(tensors.values(), 2.0)
        clipped, _ = ours.update(jax.tree.map(jnp.asarray, gradient), ours.init(gradient))
        for name, tensor in tensors.items():  # PyTorch adds 1e-6 to the norm
            np.testing.assert_allclose(clipped[name], tensor.grad.numpy(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_equals_pytorchs(smoothing, x64):
    rng = np.random.default_rng(3)
    logits, labels, weights = rng.normal(0, 3, (6, 9)), rng.integers(0, 9, 6), rng.normal(size=6)
    leaf = torch.tensor(logits, requires_grad=True)
    losses = torch.nn.functional.cross_entropy(leaf, torch.tensor(labels), reduction="none", label_smoothing=smoothing)
    losses.backward(torch.tensor(weights))
    ours, pull_back = jax.vjp(lambda logits: cross_entropy(logits, labels, smoothing), jnp.asarray(logits))
    np.testing.assert_allclose(ours, losses.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(pull_back(jnp.asarray(weights))[0], leaf.grad.numpy(), rtol=0, atol=1e-13)


def draw_problem():
    """Parameters, and a gradient for each step; the gradient of some entries is always 0."""
    rng = np.random.default_rng(0)
    start = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    gradients = [{name: rng.normal(size=shape) for name, shape in SHAPES.items()} for _ in range(STEPS)]
    for gradient in gradients:
        gradient["kernel"][0] = 0
        gradient["kernel"][1] *= 1e-9  # so small that Adam's epsilon matters
    return start, gradients


def torch_update(optimizer, tensors, gradient):
    for name, tensor in tensors.items():
        tensor.grad = torch.tensor(gradient[name])
    optimizer.step()


def torch_warmup_cosine(optimizer, warmup, total):
    """The release's two schedules in sequence; it passes lr / 10 as the factor with which the warm-up starts."""
    (group,) = optimizer.param_groups
    rising = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=group["lr"] / 10, total_iters=warmup)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - warmup)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rising, falling], milestones=[warmup])


def torch_learning_rates(learning_rate, warmup, total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)
    scheduler = torch_warmup_cosine(optimizer, warmup, total)
    rates = []
    for _ in range(total):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates
