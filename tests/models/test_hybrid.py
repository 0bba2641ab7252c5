import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny_models import drawn_variables, random_images

import hasnn_jax
from hasnn_jax.models import with_neuron
from hasnn_jax.models.hybrid import Hybrid, LayerFactory


class Double(nn.Module):
    layers: LayerFactory

    @nn.compact
    def __call__(self, x, train):
        return 2 * x


class Same(nn.Module):
    layers: LayerFactory

    @nn.compact
    def __call__(self, x, train):
        return x


IMAGE = (np.arange(256).reshape(1, 16, 16, 1) / 255).astype(np.float32)


@pytest.mark.parametrize(("paths", "factor"), [(("ann",), 2), (("snn",), 1), (("ann", "snn"), 3), (("snn", "ann"), 3)])
def test_active_paths_are_added_and_a_silent_snn_path_is_the_identity(paths, factor):
    block = Hybrid(LayerFactory(paths), ann=Double, snn=Same)
    variables = block.init(jax.random.key(0), jnp.asarray(IMAGE), False)

    np.testing.assert_allclose(block.apply(variables, jnp.asarray(IMAGE), False), factor * IMAGE, rtol=1e-6)


def test_a_learned_gain_starts_at_zero_with_the_ann_path_alone():
    block = Hybrid(LayerFactory(spiking=dataclasses.replace(hasnn_jax.AS_DESCRIBED, gain="learned")), Double, Same)
    variables = block.init(jax.random.key(0), jnp.asarray(IMAGE), False)
    gain = jnp.full((1,), 0.5)

    np.testing.assert_array_equal(variables["params"]["gain"], [0.0])
    np.testing.assert_array_equal(block.apply(variables, jnp.asarray(IMAGE), False), 2 * IMAGE)
    changed = {**variables, "params": {"gain": gain}}
    np.testing.assert_allclose(block.apply(changed, jnp.asarray(IMAGE), False), 2.5 * IMAGE, rtol=1e-6)


def test_a_gain_is_learned_for_every_channel_of_a_hybrid_and_not_of_a_pure_network():
    def gains(**kwargs):
        model = hasnn_jax.create_model("has8_resnet10_b2", 5, stem="small", **kwargs)
        params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3))))["params"]
        return {block: params[block]["gain"].shape for block in params if "gain" in params[block]}

    widths = {
        "stem": (64,),
        "stage1_block1": (2,),
        "stage2_block1": (4,),
        "stage3_block1": (8,),
        "stage4_block1": (16,),
    }
    assert gains(spiking=hasnn_jax.AS_RECOMMENDED) == widths
    assert gains(spiking=hasnn_jax.AS_RECOMMENDED, paths=("snn",)) == {}
    assert gains() == {}


def test_the_release_reverses_the_bits_of_a_silent_snn_path():
    block = Hybrid(LayerFactory(("snn",), spiking=hasnn_jax.AS_RELEASED), ann=Double, snn=Same)
    image = jnp.asarray([[[[0.0], [1 / 255]], [[128 / 255], [1.0]]]])

    y = block.apply({}, image, False)
    np.testing.assert_allclose(y.ravel()[1:3], [128 / 255, 1 / 255], rtol=1e-6)


def test_the_specs_decoder_and_planes_are_used():
    coding = dataclasses.replace(hasnn_jax.AS_DESCRIBED.coding, planes=4)
    spec = hasnn_jax.SpikingSpec(coding=coding, decoder=hasnn_jax.core.decode_rate)
    block = Hybrid(LayerFactory(("snn",), spiking=spec), ann=Double, snn=Same)
    image = jnp.full((1, 1, 1, 1), 176 / 255)  # 1011 0000
    variables = block.init(jax.random.key(0), image, False)

    assert block.apply(variables, image, False).item() == 0.75


@pytest.mark.parametrize("paths", [(), ("ann", "ann"), ("snn", "ann", "snn")])
def test_paths_are_given_once_each_and_at_least_one(paths):
    with pytest.raises(ValueError, match="paths: expected 'ann', 'snn' or both, each once; got"):
        LayerFactory(paths)


def test_an_unknown_path_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown path 'sn': expected one of ann, snn; did you mean 'snn'\?"):
        LayerFactory(("ann", "sn"))


def test_a_model_takes_another_neuron_and_keeps_everything_else():
    model = hasnn_jax.create_model("has8_vgg_b1_m1_d1", num_classes=5, paths=("snn",), statistics_group=2)
    other = with_neuron(model, jnp.zeros_like)
    images = random_images(2)
    assert not jnp.any(other.apply(drawn_variables(model, images), images))
    back = with_neuron(other, model.layers.spiking.neuron)
    assert back == model
