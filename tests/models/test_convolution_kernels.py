"""That the compiler for GPUs takes the kernels; what they compute is in test_deferred_convolution.py."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from jax.sharding import AbstractDevice, AbstractMesh

from hasnn_jax import core
from hasnn_jax.models import convolution_kernels
from hasnn_jax.models.activated_convolution import Activated, WeightedSpikes
from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.convolution_tiles import Sizes
from hasnn_jax.models.specs import SPIKE_SURROGATES

EIGHT = tuple(2.0 ** (7 - t) for t in range(8))
RESPONSES = {
    **{name: WeightedSpikes(core.LIF(surrogate=make()), EIGHT) for name, make in SPIKE_SURROGATES.items()},
    "relu": Activated(nn.relu),
    "relu6": Activated(nn.relu6),
    "leaky relu": Activated(functools.partial(nn.leaky_relu, negative_slope=0.01)),
    "silu": Activated(nn.silu),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_triton_takes_the_kernels(name):
    """Lowered for a GPU that need not be here, in the shapes of a stem."""
    respond = RESPONSES[name]
    steps = 8 if isinstance(respond, WeightedSpikes) else 0
    sizes = Sizes(2, 2, 32, 32, 3, 7, 2, 48, steps, jnp.bfloat16)
    narrow = jnp.uint8 if steps else jnp.bfloat16
    of_channel = jax.ShapeDtypeStruct((2, 48), jnp.float32)
    shapes = ((4, 32, 32, 3), narrow), ((7, 7, 3, 48), jnp.float32), (sizes.result, jnp.bfloat16)
    source, kernel, cotangent = (jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes)

    def all_kernels(source, kernel, cotangent, *of_channels):
        statistics, gradient = of_channels[:3], of_channels[3:]
        return (
            convolution_kernels.sums(source, kernel, statistics[0], sizes),
            convolution_kernels.responses(respond, narrow, source, kernel, statistics, sizes),
            convolution_kernels.gradient_sums(respond, cotangent, source, kernel, statistics, sizes),
            convolution_kernels.kernel_gradients(respond, cotangent, source, kernel, statistics, gradient, 9, sizes),
        )

    gpu = AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=None, platform="cuda")
    with jax.sharding.use_abstract_mesh(AbstractMesh((1,), ("batch",), abstract_device=gpu)):
        traced = jax.jit(all_kernels).trace(source, kernel, cotangent, *(of_channel,) * 6)
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("__gpu$xla.gpu.triton") == text.count("serialized_metadata") == 4
    assert "while" not in text  # nothing is left to the interpreter


def test_its_flops_are_those_of_the_convolution():
    sizes = Sizes(2, 1, 9, 10, 3, 7, 2, 4, 0, jnp.float32)
    x, kernel = jnp.zeros((2, 9, 10, 3)), jnp.zeros((7, 7, 3, 4))
    by_xla = jax.jit(functools.partial(convolve, stride=2)).lower(x, kernel).compile().cost_analysis()["flops"]
    assert sizes.flops == by_xla
    assert dataclasses.replace(sizes, steps=8).flops == 8 * by_xla
