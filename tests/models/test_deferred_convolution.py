"""The kernels, by an interpreter, against the same layers as XLA computes them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import several_processes
from flax import linen as nn
from meshes import mesh_of

import hasnn_jax
from hasnn_jax import core
from hasnn_jax.models import convolution_kernels
from hasnn_jax.models.activated_convolution import Activated, Layer, WeightedSpikes, by_xla
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.deferred_convolution import Deferral, EarlyDecoded, deferred, pooled
from hasnn_jax.models.hybrid import LayerFactory
from hasnn_jax.models.time_folding import time_folded

EIGHT = tuple(2.0 ** (7 - t) for t in range(8))
FIVE = EIGHT[:5]


@pytest.fixture
def several_tiles(monkeypatch):
    """Few programs, so that each goes through several tiles, also of small images."""
    monkeypatch.setattr(convolution_kernels, "PROGRAMS", 3)


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer: shape of the images, kernel, stride, features, groups; weights of the time steps or none; activation."""

    images: tuple[int, int, int, int]
    kernel: int
    stride: int
    features: int
    groups: int
    weights: tuple[float, ...]
    activation: object

    def draw(self, dtype):
        """Input, kernel, scale and bias; and the cotangent of the layer."""
        rng = np.random.default_rng(self.features)
        wide = jnp.promote_types(dtype, jnp.float32)
        spikes = rng.integers(0, 2, (len(self.weights), *self.images))
        x = spikes if self.weights else rng.normal(size=self.images)
        kernel = rng.normal(size=(self.kernel, self.kernel, self.images[-1], self.features))
        of_channels = (rng.normal(size=(1, self.features)) for _ in range(2))
        batch, height, width, _ = self.images
        result = (batch, -(-height // self.stride), -(-width // self.stride), self.features)
        arguments = tuple(jnp.asarray(each, wide) for each in (x, kernel, *of_channels))
        return arguments, jnp.asarray(rng.normal(size=result), wide)

    def statistics(self, mean, var, scale):
        inverse = jax.lax.rsqrt(var + 1e-5)
        return mean, inverse, jax.lax.stop_gradient(inverse * scale)

    def run(self, dtype, x, kernel, scale, bias):
        """By the kernels: what the layer yields, and the moments."""
        convolution = deferred(x, kernel, self.stride, dtype, Deferral(self.groups, self.weights, 1.0))
        moments = convolution.moments(jnp.full(self.features, 0.3, scale.dtype))
        y = convolution.activated(self.activation, *self.statistics(*moments, scale), scale, bias)
        return (y.total if self.weights else y), moments

    def run_by_xla(self, dtype, x, kernel, scale, bias):
        currents = time_folded(
            functools.partial(convolve, stride=self.stride), x.astype(dtype), kernel.astype(dtype)
        ).astype(scale.dtype)
        grouped = currents.reshape(*x.shape[:-4], self.groups, -1, *currents.shape[-3:])
        axes = tuple(a for a in range(grouped.ndim - 1) if a != grouped.ndim - 5)
        moments = jax.lax.stop_gradient((grouped.mean(axes), grouped.var(axes)))
        sizes = deferred(x, kernel, self.stride, dtype, Deferral(self.groups)).sizes
        respond = WeightedSpikes(self.activation, self.weights) if self.weights else Activated(self.activation)
        layer = Layer(sizes, None, respond, by_xla, x.dtype)
        y = by_xla(layer, x, kernel, *self.statistics(*moments, scale), scale, bias)
        return (y.astype(scale.dtype) if self.weights else y), moments


LEAKY = core.LIF(tau=3.0, reset="soft", surrogate=core.Sigmoid())
CASES = {
    "7 x 7, as in the stem": Case((2, 9, 10, 3), 7, 2, 20, 1, EIGHT, core.IF()),
    "of groups, five steps, one channel": Case((4, 6, 5, 1), 3, 1, 16, 2, FIVE, LEAKY),
    "of single images": Case((3, 7, 7, 3), 3, 2, 6, 3, (1.0,) * 8, core.LIF()),
    "ANN path, 7 x 7": Case((2, 9, 10, 3), 7, 2, 20, 1, (), nn.relu),
    "ANN path, of groups": Case((4, 6, 5, 1), 3, 1, 16, 2, (), functools.partial(nn.leaky_relu, negative_slope=0.01)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_layer_and_gradients_are_those_of_xla(name, x64, several_tiles):
    case = CASES[name]
    arguments, cotangent = case.draw(jnp.float64)

    def value_and_gradients(run):
        y, differentiate, moments = jax.vjp(functools.partial(run, jnp.float64), *arguments, has_aux=True)
        return y, moments, differentiate(cotangent.astype(y.dtype))

    found, expected = (jax.jit(value_and_gradients, static_argnums=0)(run) for run in (case.run, case.run_by_xla))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11), found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["of groups, five steps, one channel", "ANN path, of groups"])
def test_in_bfloat16_it_rounds_what_xla_rounds(name, several_tiles):
    case = CASES[name]
    arguments, cotangent = case.draw(jnp.bfloat16)
    (found, found_moments), (expected, moments) = (run(jnp.bfloat16, *arguments) for run in (case.run, case.run_by_xla))
    assert found.dtype == expected.dtype
    for each, wanted in zip(found_moments, moments, strict=True):
        np.testing.assert_allclose(each, wanted, rtol=1e-4, atol=1e-5)
    agree = np.mean(np.asarray(found.astype(jnp.float32)) == np.asarray(expected.astype(jnp.float32)))
    assert agree > 0.99  # a moment's last digit may move a current to its neighbour in bfloat16
    gradients = (
        jax.vjp(lambda kernel, run=run: run(jnp.bfloat16, arguments[0], kernel, *arguments[2:])[0], arguments[1])[1](
            cotangent.astype(found.dtype)
        )[0]
        for run in (case.run, case.run_by_xla)
    )
    of_kernel, wanted = (np.asarray(each, np.float32) for each in gradients)
    assert np.linalg.norm(of_kernel - wanted) < 0.03 * np.linalg.norm(wanted)


ON_TWO_DEVICES = """
import functools
import jax
import jax.numpy as jnp
import numpy as np
from hasnn_jax import core
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.deferred_convolution import Deferral, deferred
from hasnn_jax.training.sharding import make_mesh

mesh = make_mesh()
assert mesh.size == 2
rng = np.random.default_rng(0)
kernel, scale, bias = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 3, 1, 4), (1, 4), (1, 4)))


def yields(x, kernel, scale, bias, deferral, activation):
    convolution = deferred(x, kernel, 1, jnp.float32, deferral)
    mean, var = convolution.moments(jnp.zeros(4))
    inverse = jax.lax.rsqrt(var + 1e-5)
    weight = jax.lax.stop_gradient(inverse * scale)
    return convolution.activated(activation, mean, inverse, weight, scale, bias)


def spiking(x, *args):
    of_eight = Deferral(1, tuple(2.0 ** (7 - t) for t in range(8)), 255.0)
    return jnp.mean(jnp.sin(yields(x, *args, of_eight, core.IF()).decoded()))


def ann(x, *args):
    return jnp.mean(jnp.sin(yields(x, *args, Deferral(1), jax.nn.relu)))


def on(function, x):
    return jax.jit(jax.value_and_grad(function, argnums=(0, 1, 2, 3)))(x, kernel, scale, bias)


for loss, x in ((spiking, rng.integers(0, 2, (8, 4, 5, 5, 1))), (ann, rng.normal(size=(4, 5, 5, 1)))):
    x = jnp.asarray(x, jnp.float32)
    divided, whole = on(compile_for(mesh, loss), x), on(loss, x)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), divided, whole)
"""


@pytest.mark.slow
def test_devices_that_share_a_batch_find_the_same_together():
    several_processes.run(["-c", ON_TWO_DEVICES], devices=2, count=1)


@pytest.mark.slow
@pytest.mark.parametrize("remat", ["none", "spikes", "block"])
def test_a_network_learns_the_same_from_the_kernels(remat, several_tiles):
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(2, 16, 16, 3)), jnp.float32)

    def step(kernels):
        stages = {"stage_sizes": (), "base_width": 2}
        layers = LayerFactory(dtype=jnp.bfloat16, kernels=kernels, remat=remat if kernels == "pallas" else "none")
        model = hasnn_jax.models.HybridResNet(3, layers=layers, **stages)
        variables = model.init(jax.random.key(0), images, train=False)

        def loss(params):
            apply = compile_for(mesh_of("cuda"), model.apply)
            logits, updates = apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
            return jnp.sum(logits**2), updates

        return jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])

    (found, updates), gradients = step("pallas")
    (expected, wanted_updates), wanted = step("xla")
    np.testing.assert_allclose(found, expected, rtol=0.02)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), updates, wanted_updates)
    for path, of_leaf in jax.tree.leaves_with_path(gradients):
        same = functools.reduce(lambda tree, key: tree[key.key], path, wanted)
        assert np.linalg.norm(of_leaf - same) <= 0.1 * np.linalg.norm(same), path


def test_decoded_early_spikes_are_pooled_and_decoded_as_their_mean():
    spikes = jnp.asarray(np.random.default_rng(0).integers(0, 2, (8, 3, 4)), jnp.float32)
    early = EarlyDecoded(jnp.tensordot(jnp.asarray(EIGHT), spikes, 1), 255.0)
    np.testing.assert_array_equal(early.decoded(), core.decode_bit_planes(spikes))
    halved = pooled(early, lambda x: x.reshape(3, 2, 2).mean(-1))
    np.testing.assert_allclose(halved.decoded(), core.decode_bit_planes(spikes).reshape(3, 2, 2).mean(-1), rtol=1e-6)
    np.testing.assert_array_equal(pooled(spikes, jnp.sum), spikes.sum())
