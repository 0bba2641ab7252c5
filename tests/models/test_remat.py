"""What is kept of a block for the backward pass."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_models import tiny_inverted_residuals, tiny_mobilenet

import hasnn_jax
from hasnn_jax.common.errors import InputError
from hasnn_jax.models import HybridEfficientNet

MODELS = {
    "resnet": functools.partial(hasnn_jax.create_model, "has8_resnet10_b2", 3),
    "vgg": functools.partial(hasnn_jax.create_model, "has8_vgg_b1_m2_d1", 3),
    "mobilenet": functools.partial(tiny_mobilenet, stem="imagenet"),
    "efficientnet": functools.partial(tiny_inverted_residuals, HybridEfficientNet, stem="imagenet"),
}
images = np.random.default_rng(0).random((2, 16, 16, 3))


def backward_pass(make, remat):
    """Gradients of a model's loss in float64, and what is kept for them beside the parameters, as shapes and dtypes."""
    model = make(remat=remat, dtype=jnp.float64)
    variables = jax.jit(model.init)(jax.random.key(0), images)
    variables = jax.tree.map(lambda v: v.astype(jnp.float64) if v.dtype == jnp.float32 else v, variables)
    stats = variables["batch_stats"]

    def loss(params):
        logits, updates = model.apply(
            {"params": params, "batch_stats": stats}, jnp.asarray(images), train=True, mutable=["batch_stats"]
        )
        return jnp.sum(jnp.sin(logits)), updates

    results = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
    kept = jax.eval_shape(lambda params: jax.vjp(loss, params, has_aux=True)[1], variables["params"])
    return results, jax.tree.leaves(kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_gradients_and_statistics_are_the_same_and_ever_less_is_kept(x64, name):
    passes = {remat: backward_pass(MODELS[name], remat) for remat in ("none", "spikes", "block")}
    expected, _ = passes["none"]
    for results, _ in passes.values():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), results, expected)

    size = {remat: sum(kept.size * kept.dtype.itemsize for kept in arrays) for remat, (_, arrays) in passes.items()}
    assert size["none"] > size["spikes"] > size["block"]


@pytest.mark.slow
def test_spikes_are_kept_as_bytes_without_a_time_axis(x64):
    _, kept = backward_pass(MODELS["resnet"], "spikes")
    packed = [array.shape for array in kept if array.dtype == jnp.uint8]
    assert (1, 2, 4, 4, 2) in packed  # of the first block's 8 steps, which its second convolution receives


def test_an_unknown_choice_is_refused_with_the_valid_ones():
    with pytest.raises(InputError, match=r"remat.*'blok'.*none.*spikes.*block"):
        hasnn_jax.create_model("has8_resnet10_b2", 3, remat="blok")
