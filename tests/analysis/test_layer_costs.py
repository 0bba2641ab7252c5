"""Parameters and dense multiply-accumulates, against known counts and against the compiler's FLOPs."""

import jax
import jax.numpy as jnp
import pytest
from tiny_models import tiny_efficientnet

import hasnn_jax
from hasnn_jax.analysis.layer_costs import describe_cost, model_cost
from hasnn_jax.common.errors import InputError


def cost_of(name, num_classes=10, size=32, **kwargs):
    return model_cost(hasnn_jax.create_model(name, num_classes, **kwargs), (size, size, 3))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("has8_resnet_b32_m2_d4", 5_886_952),
        ("has8_vgg_b24_m2_d4", 20_312_800),
        ("has8_resnet50_b32", 6_237_672),
    ],
)
def test_parameters_are_those_of_the_release(name, expected):  # as in tests/models/test_parameter_counts.py
    cost = cost_of(name, 1000)

    assert cost.parameters == expected
    assert sum(layer.parameters for layer in cost.layers) < cost.parameters  # the rest: normalisations


def test_layers_of_a_small_model_worked_out_by_hand():
    cost = cost_of("has8_vgg_b1_m1_d1", num_classes=5, size=4)  # blocks of 3 channels, then 3 -> 1024 -> 512 -> 5
    layers = {layer.name: layer for layer in cost.layers}

    conv, head = layers["block1/snn/conv"], layers["head/ann/dense1"]
    assert (conv.path, conv.spiking, conv.steps, conv.parameters) == ("snn", True, 8, 81)
    assert (conv.inputs, conv.outputs) == (48, 48)
    assert conv.macs == 8 * 81 * 16
    assert conv.macs_on_values == 8 * 9 * 10**2  # 3 + 3 + 2 + 2 taps on values along each axis
    assert (head.path, head.spiking, head.steps, head.parameters, head.macs) == ("ann", False, 1, 4096, 3072)
    assert cost.parameters == sum(layer.parameters for layer in cost.layers) + 2 * 2 * 2 * 3  # two norms of two blocks


@pytest.mark.parametrize(
    ("name", "ann", "snn"),
    [
        ("has8_vgg_b16_m2_d4", 2.15e9, 17.2e9),
        ("has8_vgg_b24_m2_d4", 4.78e9, 38.3e9),
        ("has8_resnet_b32_m2_d4", 0.577e9, 4.62e9),
        ("has8_resnet_b64_m2_d4", 1.81e9, 14.5e9),
    ],
)
def test_dense_macs_of_the_papers_models_at_224_pixels(name, ann, snn):
    cost = cost_of(name, 1000, 224)

    assert cost.macs("ann") + cost.macs("shared") == pytest.approx(ann, rel=3e-3)
    assert cost.macs("snn") == pytest.approx(snn, rel=3e-3)
    assert cost.macs() == sum(cost.macs(path) for path in ("ann", "snn", "shared"))


@pytest.mark.parametrize("name", ["has8_vgg_b32_m2_d3", "has8_resnet10_b64"])
def test_twice_the_macs_are_the_compilers_flops(name):
    # Only convolutions and linear layers count here; with these widths the rest is below 1 %. The compiler does not
    # count a convolution's products with its padding, but does where a small map is written as a product of patches, of
    # which there is none at this size. It is asked before optimising, so nothing is compiled.
    model = hasnn_jax.create_model(name, 10, paths=("ann",))
    images = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), images)
    flops = jax.jit(model.apply).lower(variables, images).cost_analysis()["flops"]
    ours = 2 * sum(layer.macs_on_values for layer in model_cost(model, (128, 128, 3)).layers)

    assert ours < flops
    assert ours == pytest.approx(flops, rel=0.01)


@pytest.mark.parametrize(("name", "millions"), [("has8_mobilenetv2", 300), ("has8_efficientnet_b0", 390)])
def test_dense_macs_of_the_mobile_networks_are_about_the_published_ones(name, millions):
    cost = cost_of(name, 1000, 224)

    assert (cost.macs("ann") + cost.macs("shared")) / 1e6 == pytest.approx(millions, rel=0.02)
    assert cost.macs("snn") == 8 * cost.macs("ann")


def test_depthwise_convolution_and_squeeze_worked_out_by_hand():
    layers = {layer.name: layer for layer in model_cost(tiny_efficientnet(), (8, 8, 3)).layers}
    depthwise = layers["stage2_block1/snn/depthwise_conv"]  # 2 x 16 channels, 5x5
    squeeze = layers["stage2_block1/ann/squeeze_excite/squeeze"]  # a quarter of the block's 16 channels
    excite = layers["stage2_block1/snn/squeeze_excite/excite"]

    assert (depthwise.parameters, depthwise.steps, depthwise.inputs) == (32 * 25, 8, 32 * 64)
    assert depthwise.macs == 8 * 32 * 25 * 64
    assert depthwise.macs_on_values == 8 * 32 * (6 + 7 + 8 + 7 + 6) ** 2  # taps on values along each axis
    assert (squeeze.parameters, squeeze.steps, squeeze.macs) == (32 * 4 + 4, 1, 32 * 4)
    assert (excite.parameters, excite.steps, excite.macs) == (4 * 32 + 32, 8, 8 * 4 * 32)


def test_paths_and_planes_change_what_is_listed():
    spiking = hasnn_jax.spiking_spec(planes=3)
    cost = cost_of("has8_vgg_b1_m1_d1", size=4, paths=("snn",), spiking=spiking)

    assert {layer.path for layer in cost.layers} == {"snn"}
    assert {layer.steps for layer in cost.layers} == {3}


def test_the_description_names_the_paths_that_exist():
    line = describe_cost(cost_of("has8_resnet10_b2", size=8, stem="small", paths=("ann",)))

    assert "parameters; dense multiply-accumulates for an image: ann " in line
    assert "shared" in line
    assert "snn" not in line


def test_an_image_that_does_not_fit_is_refused():
    with pytest.raises(InputError):
        cost_of("has8_vgg_b1_m1_d4", size=4)
