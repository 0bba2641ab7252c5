"""Hybrid blocks lay images and pixels abreast for TPUs in training, and compute the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import several_processes
from flax import linen as nn
from hybrid_blocks import BLOCKS
from meshes import mesh_of

import hasnn_jax
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.hybrid import LayerFactory
from hasnn_jax.models.layers import Encoder

IMAGES = np.random.default_rng(0).normal(0.3, 1, (8, 8, 8, 6))


def with_shapes(function, *args):
    """Calls it, and returns also the shapes of what is encoded."""
    encoded = []

    def record(next_fun, args, kwargs, context):
        if isinstance(context.module, Encoder):
            encoded.append(args[0].shape)
        return next_fun(*args, **kwargs)

    with nn.intercept_methods(record):
        return function(*args), encoded


def compare(name, **settings):
    """Passes for a TPU and a CPU give the same to rounding; returns the shape that the former encodes."""
    block = BLOCKS[name](LayerFactory(dtype=jnp.float64, **settings))
    variables = block.init(jax.random.key(0), jnp.asarray(IMAGES), False)
    draw = np.random.default_rng(1)
    variables = jax.tree.map(lambda v: v + 0.1 * draw.random(v.shape) if v.dtype != jnp.int32 else v, variables)

    def training(platform):
        apply = compile_for(mesh_of(platform), functools.partial(block.apply, mutable=["batch_stats"]))

        def loss(params, x):
            y, updates = apply({**variables, "params": params}, x, True)
            return jnp.sum(jnp.sin(y)), updates

        differentiate = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
        return with_shapes(differentiate, variables["params"], jnp.asarray(IMAGES))

    (results, encoded), (expected, apart) = training("tpu"), training("cpu")
    assert apart[0] == IMAGES.shape
    largest = max(float(jnp.abs(g).max()) for g in jax.tree.leaves(expected[1]))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10 * largest), results, expected)
    return encoded[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_output_gradients_and_statistics_are_the_same(x64, name):
    rows, height, width, channels = compare(name)
    assert height == 8
    assert rows * width * channels == 8 * 8 * 6
    if name in ("identity", "bottleneck"):  # without a stride
        assert (rows, width) == (8, 1)
    else:
        assert rows < 8
        assert width == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"statistics_group": 4}, {"remat": "spikes"}, {"remat": "block"}, {"spiking": hasnn_jax.AS_RECOMMENDED}],
)
def test_so_are_they_with_every_setting(x64, settings):
    assert compare("basic", **settings)[0] < 8


def test_images_with_ranges_of_their_own_stay_apart(x64):
    assert compare("basic", spiking=hasnn_jax.spiking_spec(value_range="example"))[0] == 8


@pytest.mark.parametrize("name", BLOCKS)
def test_evaluation_leaves_images_apart(name):
    block = BLOCKS[name](LayerFactory())
    x = jnp.asarray(IMAGES, jnp.float32)
    variables = jax.eval_shape(lambda: block.init(jax.random.key(0), x, False))
    evaluate = functools.partial(compile_for(mesh_of("tpu"), block.apply), x=x, train=False)

    y, encoded = with_shapes(jax.eval_shape, evaluate, variables)
    assert set(encoded) == {x.shape}
    assert y.shape[0] == 8


DIVIDED = """
import jax
import jax.numpy as jnp
import numpy as np
from hybrid_blocks import BLOCKS

from hasnn_jax.models import compile_target, memory_layout
from hasnn_jax.models.hybrid import LayerFactory
from hasnn_jax.training import sharding

jax.config.update("jax_enable_x64", True)
memory_layout.with_layout_constraint = lambda x, layout: x  # XLA can divide such a constraint for TPUs alone
mesh, block = sharding.make_mesh(), BLOCKS["{name}"](LayerFactory(dtype=jnp.float64))
images = np.random.default_rng(0).normal(size=(16, 8, 8, 6))
variables = block.init(jax.random.key(0), jnp.asarray(images), False)


def loss(params, x):
    y, updates = block.apply({**variables, "params": params}, x, True, mutable=["batch_stats"])
    return jnp.sum(jnp.sin(y)), updates


def for_tpus(*args):  # as `compile_for` does for a mesh of TPUs, which are not here
    with compile_target._platform("tpu"), compile_target._dividing_mesh(mesh):
        return loss(*args)


args = jax.device_put(variables["params"], sharding.replicated(mesh)), jax.device_put(images, sharding.over_batch(mesh))
compiled = jax.jit(jax.value_and_grad(for_tpus, argnums=(0, 1), has_aux=True)).lower(*args).compile()
text = compiled.as_text()
assert "all-reduce(" in text
assert not any(f" {moving}(" in text for moving in ("all-gather", "all-to-all", "collective-permute"))
expected = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(variables["params"], jnp.asarray(images))
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), compiled(*args), expected)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["basic", "identity"])
def test_devices_lay_their_own_images_abreast_and_move_none(name):
    several_processes.run(["-c", DIVIDED.replace("{name}", name)], devices=2, count=1)
