"""The two small networks that the authors' PyTorch release was run on, in float64."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from release_parameters import release_parameters

import hasnn_jax
from hasnn_jax.interop import torch_weights

PER_PLANE = dataclasses.replace(
    hasnn_jax.AS_RELEASED,
    coding=dataclasses.replace(hasnn_jax.AS_RELEASED.coding, vector_gradient="per_plane"),
)
# golden file -> (file of names, model, spec)
NETWORKS = {
    "resnet_basic_b8": ("resnet_basic_b8", "has8_resnet10_b8", hasnn_jax.AS_RELEASED),
    "vgg_b2_m2_d2": ("vgg_b2_m2_d2", "has8_vgg_b2_m2_d2", hasnn_jax.AS_RELEASED),
    "vgg_b2_m2_d2_perplane": ("vgg_b2_m2_d2", "has8_vgg_b2_m2_d2", PER_PLANE),
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=NETWORKS)
def run(request):
    """What this package computes, under the release's names, and the golden numbers of the same."""
    names, model_name, spec = NETWORKS[request.param]
    with np.load(f"{request.path.parents[1]}/golden/{request.param}.npz") as file:
        golden = {key: file[key] for key in file.files}
    with jax.enable_x64(True):
        model = hasnn_jax.create_model(model_name, num_classes=10, spiking=spec, dtype=jnp.float64)
        variables = torch_weights.from_state_dict(model, release_parameters(names))
        images = jnp.asarray(golden["x"].transpose(0, 2, 3, 1))
        yield compute(model, jax.tree.map(jnp.asarray, variables), images, jnp.asarray(golden["y"])), golden


def compute(model, variables, images, labels):
    def loss(params, batch_stats):
        logits, updates = model.apply(
            {"params": params, "batch_stats": batch_stats}, images, train=True, mutable=["batch_stats"]
        )
        mean = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return mean, (logits, updates["batch_stats"])

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    optimizer = optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(0.05, momentum=0.9, nesterov=True))
    params, batch_stats = variables["params"], variables["batch_stats"]
    state, losses, first = optimizer.init(params), [], None
    for _ in range(4):
        (value, (logits, batch_stats)), gradient = step(params, batch_stats)
        first = first or (logits, gradient, batch_stats)
        losses.append(float(value))
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return {
        "logits_eval": jax.jit(lambda v: model.apply(v, images, train=False))(variables),
        "logits_train": first[0],
        "gradients": torch_weights.to_state_dict(model, {"params": first[1]}),
        "buffers": torch_weights.to_state_dict(model, {"batch_stats": first[2]}),
        "losses": losses,
    }


def stored(golden, kind):
    return {key.removeprefix(kind): value for key, value in golden.items() if key.startswith(kind)}


@pytest.mark.parametrize("logits", ["logits_eval", "logits_train"])
def test_logits_are_the_releases(run, logits):
    ours, golden = run

    assert ours[logits].dtype == jnp.float64
    np.testing.assert_allclose(ours[logits], golden[logits], rtol=0, atol=1e-9)


def test_every_stored_gradient_is_the_releases(run):
    ours, golden = run
    gradients = stored(golden, "grad/")

    assert len(gradients) > 20
    largest = max(np.linalg.norm(gradient) for gradient in gradients.values())
    for name, expected in gradients.items():
        error = np.linalg.norm(ours["gradients"][name] - expected)
        assert error <= 1e-7 * np.linalg.norm(expected) + 1e-13 * largest, name


def test_every_gradients_norm_and_sum_are_the_releases(run):
    ours, golden = run
    sums = stored(golden, "gradnorm_sum/")

    assert sums.keys() == ours["gradients"].keys()
    largest = max(norm for norm, _ in sums.values())
    for name, (norm, total) in sums.items():
        gradient = ours["gradients"][name]
        assert abs(np.linalg.norm(gradient) - norm) <= 1e-7 * norm + 1e-13 * largest, name
        # A sum cancels: its error is measured against what was added up.
        assert abs(gradient.sum() - total) <= 1e-7 * np.abs(gradient).sum() + 1e-12 * largest, name


def test_buffers_after_one_step_are_the_releases(run):
    ours, golden = run
    buffers = stored(golden, "stats1/")
    counts = {name: count for name, count in ours["buffers"].items() if name.endswith("num_batches_tracked")}

    assert {int(count) for count in counts.values()} == {1}
    assert buffers.keys() == ours["buffers"].keys() - counts.keys()
    for name, expected in buffers.items():
        np.testing.assert_allclose(ours["buffers"][name], expected, rtol=0, atol=1e-9, err_msg=name)


def test_losses_of_four_sgd_steps_are_the_releases(run):
    ours, golden = run

    assert len(golden["sgd_losses"]) == 4
    np.testing.assert_allclose(ours["losses"], golden["sgd_losses"], rtol=0, atol=1e-6)
