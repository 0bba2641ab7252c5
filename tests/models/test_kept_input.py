import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from meshes import mesh_of
from tiny_models import tiny_efficientnet, tiny_mobilenet, tiny_resnet, tiny_vgg

import hasnn_jax
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.kept_input import AS_IT_IS, as_bytes, convolve_kept
from hasnn_jax.models.layers import Conv
from hasnn_jax.models.time_folding import time_folded


def by_steps(x, kernel):
    return time_folded(functools.partial(convolve, stride=1), x, kernel)


def draw(shape, dtype):
    rng = np.random.default_rng(len(shape))
    x = jnp.asarray(rng.integers(0, 2, shape), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, shape[-1], 4)), dtype)
    return x, kernel, jnp.asarray(rng.normal(size=(*shape[:-1], 4)), dtype)


CASES = {
    "bytes": (as_bytes(8), (8, 2, 5, 5, 3)),
    "bytes of three steps": (as_bytes(3), (3, 2, 5, 5, 3)),
    "as it is": (AS_IT_IS, (2, 5, 5, 3)),
}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_convolution_and_gradients_are_the_same(name, dtype):
    kept, shape = CASES[name]
    x, kernel, cotangent = draw(shape, dtype)
    y, differentiate = jax.vjp(functools.partial(convolve_kept, kept, by_steps), x, kernel)
    expected, by_jax = jax.vjp(lambda x, kernel: by_steps(x.astype(dtype), kernel), x, kernel)
    np.testing.assert_array_equal(y, expected)
    for found, wanted in zip(differentiate(cotangent), by_jax(cotangent), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found.astype(jnp.float32), wanted.astype(jnp.float32), rtol=1e-5)


def test_a_byte_is_kept_for_all_time_steps():
    x, kernel, _ = draw((8, 2, 5, 5, 3), jnp.bfloat16)
    _, differentiate = jax.vjp(functools.partial(convolve_kept, as_bytes(8), by_steps), x, kernel)
    arrays = [leaf for leaf in jax.tree.leaves(differentiate) if leaf.ndim]
    assert sorted((leaf.dtype.name, leaf.shape) for leaf in arrays) == [
        ("bfloat16", kernel.shape),
        ("uint8", x.shape[1:]),
    ]


def convolutions_of(make, **settings):
    """(module, input) of every convolution of a training step, as a GPU would compute it in bfloat16."""
    model = make(dtype=jnp.bfloat16, kernels="xla", **settings)
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 8, 8, 3)), jnp.float32)
    modules = []

    @jax.jit
    def inputs(images):
        given = []

        def note(next_call, args, kwargs, context):
            if isinstance(context.module, Conv) and context.method_name == "__call__":
                modules.append(context.module)
                given.append(args[0])
            return next_call(*args, **kwargs)

        variables = model.init(jax.random.key(0), images, train=False)
        with nn.intercept_methods(note):
            compile_for(mesh_of("cuda"), model.apply)(variables, images, train=True, mutable=["batch_stats"])
        return given

    return list(zip(modules, inputs(images), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_resnet, tiny_vgg, tiny_mobilenet, tiny_efficientnet])
def test_what_is_kept_as_bytes_is_zeros_and_ones(make):
    convolutions = convolutions_of(make)
    packed = [x for conv, x in convolutions if conv.packs and x.ndim == 5]
    assert packed
    for x in packed:
        assert set(np.unique(x.astype(jnp.float32))) <= {0.0, 1.0}
    assert any(conv.shares and x.ndim == 4 and x.dtype == jnp.float32 for conv, x in convolutions)


@pytest.mark.slow
def test_fractional_planes_are_not_kept_as_bytes():
    assert not any(conv.packs for conv, _ in convolutions_of(tiny_resnet, spiking=hasnn_jax.AS_RELEASED))
