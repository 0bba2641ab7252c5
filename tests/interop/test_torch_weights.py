import re

import jax
import numpy as np
import pytest
from release_parameters import draw, release_names, release_parameters

import hasnn_jax
from hasnn_jax.interop import torch_weights

GOLDEN_MODELS = {"resnet_basic_b8": "has8_resnet10_b8", "vgg_b2_m2_d2": "has8_vgg_b2_m2_d2"}


def model_of(name, **kwargs):
    return hasnn_jax.create_model(name, num_classes=10, **{"spiking": hasnn_jax.AS_RELEASED, **kwargs})


def shapes_of(model, size=32, channels=3):
    images = jax.ShapeDtypeStruct((1, size, size, channels), np.float32)
    return jax.eval_shape(lambda x: model.init(jax.random.key(0), x), images)


def drawn_variables(model, **kwargs):
    """Distinct random numbers in every leaf."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: (100 * rng.normal(size=leaf.shape)).astype(leaf.dtype), shapes_of(model, **kwargs))


@pytest.mark.parametrize(("network", "model"), GOLDEN_MODELS.items())
def test_release_state_dict_survives_the_round_trip_exactly(network, model):
    state_dict = release_parameters(network)
    model = model_of(model)
    restored = torch_weights.to_state_dict(model, torch_weights.from_state_dict(model, state_dict))

    assert restored.keys() == state_dict.keys()
    for name, array in state_dict.items():
        assert restored[name].dtype == array.dtype, name
        np.testing.assert_array_equal(restored[name], array, err_msg=name)


@pytest.mark.parametrize("paths", [("ann", "snn"), ("ann",), ("snn",)])
@pytest.mark.parametrize("name", ["has8_resnet_b4_m2_d4", "has8_resnet50_b8", "has8_vgg_b2_m2_d1"])
def test_variables_survive_the_round_trip_exactly(name, paths):
    model = model_of(name, paths=paths)
    variables = drawn_variables(model)
    restored = torch_weights.from_state_dict(model, torch_weights.to_state_dict(model, variables))

    jax.tree.map(np.testing.assert_array_equal, restored, variables)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ["has8_resnet10_b8", "has8_vgg_b2_m2_d1"])
def test_channels_are_read_from_the_weights(name, channels):
    model = model_of(name)
    variables = drawn_variables(model, channels=channels)
    restored = torch_weights.from_state_dict(model, torch_weights.to_state_dict(model, variables))

    jax.tree.map(np.testing.assert_array_equal, restored, variables)


def test_layouts_are_transposed_and_not_reshaped():
    model = model_of("has8_vgg_b2_m2_d2")
    state_dict = release_parameters("vgg_b2_m2_d2")
    params = torch_weights.from_state_dict(model, state_dict)["params"]

    kernel, weight = params["block2"]["snn"]["conv"]["kernel"], state_dict["dv.1.sdv_block.sdv.0.weight"]
    assert weight.shape == (12, 6, 3, 3)
    assert kernel[2, 0, 5, 11] == weight[11, 5, 2, 0]
    dense = params["head"]["ann"]["dense1"]["kernel"]
    assert dense.shape == (24, 1024)
    assert dense[23, 1000] == state_dict["dv.5.adv_block.adv.0.weight"][1000, 23]


def test_residual_projections_are_the_releases_downsampling():
    model = model_of("has8_resnet10_b8")
    state_dict = release_parameters("resnet_basic_b8")
    variables = torch_weights.from_state_dict(model, state_dict)

    block = variables["params"]["stage2_block1"]["snn"]
    np.testing.assert_array_equal(
        block["shortcut_conv"]["kernel"][0, 0].T,
        state_dict["layer2.0.snn_basic_block.downsample.0.weight"][:, :, 0, 0],
    )
    np.testing.assert_array_equal(
        variables["batch_stats"]["stem"]["ann"]["norm"]["var"],
        state_dict["init_conv.ann_init_conv.init_conv.1.running_var"],
    )


def test_every_fault_is_listed_in_one_error():
    state_dict = release_parameters("vgg_b2_m2_d2")
    del state_dict["dv.0.sdv_block.sdv.0.weight"], state_dict["dv.5.adv_block.adv.4.bias"]
    state_dict["module.extra.weight"] = np.zeros(3)
    state_dict["dv.5.sdv_block.sdv.4.weight"] = np.zeros((100, 512))
    state_dict["dv.1.adv_block.adv.1.running_var"] = np.zeros((11,))

    with pytest.raises(ValueError, match="the state dict does not fit this HybridVGG") as error:
        torch_weights.from_state_dict(model_of("has8_vgg_b2_m2_d2"), state_dict)

    lines = [line.strip() for line in str(error.value).splitlines()]
    assert "(5 names; check model name, classes and paths)" in lines[0]
    assert sorted(lines[1:]) == [
        "missing: dv.0.sdv_block.sdv.0.weight",
        "missing: dv.5.adv_block.adv.4.bias",
        "unexpected: module.extra.weight",
        "wrong shape: dv.1.adv_block.adv.1.running_var: expected (12,), got (11,)",
        "wrong shape: dv.5.sdv_block.sdv.4.weight: expected (10, 512), got (100, 512)",
    ]


def test_whole_numbers_are_no_weights():
    state_dict = release_parameters("vgg_b2_m2_d2") | {"dv.5.adv_block.adv.4.bias": np.arange(10)}

    with pytest.raises(ValueError, match=r"not of a float dtype: dv\.5\.adv_block\.adv\.4\.bias: int64"):
        torch_weights.from_state_dict(model_of("has8_vgg_b2_m2_d2"), state_dict)


def test_a_tensor_of_the_wrong_rank_is_a_wrong_shape():
    state_dict = release_parameters("vgg_b2_m2_d2") | {"dv.1.sdv_block.sdv.0.weight": np.zeros((12, 54))}

    message = r"wrong shape: dv.1.sdv_block.sdv.0.weight: expected (12, 6, 3, 3), got (12, 54)"
    with pytest.raises(ValueError, match=re.escape(message)):
        torch_weights.from_state_dict(model_of("has8_vgg_b2_m2_d2"), state_dict)


def test_weights_of_the_other_family_are_refused():
    with pytest.raises(ValueError, match=r"(?s)this HybridResNet .*missing: fc.bias.*unexpected: dv.0"):
        torch_weights.from_state_dict(model_of("has8_resnet10_b8"), release_parameters("vgg_b2_m2_d2"))


def test_hybrid_weights_do_not_load_into_one_path_alone():
    with pytest.raises(ValueError, match=r"unexpected: dv\.0\.sdv_block"):
        torch_weights.from_state_dict(model_of("has8_vgg_b2_m2_d2", paths=("ann",)), release_parameters("vgg_b2_m2_d2"))


def test_counters_survive_the_round_trip():
    state_dict = release_parameters("vgg_b2_m2_d2")
    counters = {k: np.int64(1000 + i) for i, k in enumerate(k for k in state_dict if "num_batches" in k)}
    model = model_of("has8_vgg_b2_m2_d2")
    restored = torch_weights.to_state_dict(model, torch_weights.from_state_dict(model, state_dict | counters))

    assert {k: v for k, v in restored.items() if "num_batches" in k} == counters


def test_counters_may_be_missing_and_are_written_as_zero():
    state_dict = {k: v for k, v in release_parameters("vgg_b2_m2_d2").items() if "num_batches" not in k}
    model = model_of("has8_vgg_b2_m2_d2")
    restored = torch_weights.to_state_dict(model, torch_weights.from_state_dict(model, state_dict))

    counters = {k: v for k, v in restored.items() if k.endswith("num_batches_tracked")}
    assert len(counters) == 6
    assert all(v.shape == () and v == 0 and v.dtype == np.int64 for v in counters.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tracked_value_range_starts_at_the_unit_interval_in_the_weights_dtype(dtype):
    state_dict = {k: v.astype(dtype) for k, v in release_parameters("vgg_b2_m2_d2").items()}
    model = model_of("has8_vgg_b2_m2_d2", spiking=hasnn_jax.AS_DESCRIBED)
    variables = torch_weights.from_state_dict(model, state_dict)

    assert jax.tree.structure(variables) == jax.tree.structure(shapes_of(model))
    assert variables["batch_stats"]["head"]["encoder"]["low"] == 0
    assert variables["batch_stats"]["block1"]["encoder"]["high"] == 1
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype(dtype), np.dtype(np.int32)}


def test_a_tracked_value_range_is_not_written():
    model = model_of("has8_vgg_b2_m2_d2", spiking=hasnn_jax.AS_DESCRIBED)

    assert torch_weights.to_state_dict(model, drawn_variables(model)).keys() == release_names("vgg_b2_m2_d2").keys()


def test_drawn_parameters_follow_the_written_rules():
    assert draw("a.num_batches_tracked", ()) == 0
    assert 0.5 <= draw("a.running_var", (500,)).min() < 0.55
    assert draw("a.running_mean", (500,)).std() == pytest.approx(0.1, rel=0.2)
    assert draw("a.weight", (50, 2, 3, 3)).std() == pytest.approx(1 / 3, rel=0.2)  # sqrt(2 / 18)
    assert 0.8 <= draw("a.weight", (500,)).min() < 0.82
    assert draw("a.bias", (500,)).std() == pytest.approx(0.05, rel=0.2)
    assert (draw("a.bias", (3,)) != draw("b.bias", (3,))).all()


@pytest.mark.parametrize("name", ["has8_mobilenetv2_010", "has8_efficientnet_b0_010"])
def test_families_that_the_release_does_not_have_are_refused_by_name(name):
    model = model_of(name, paths=("ann",))
    message = (
        "the release has ResNets and VGGs only, .* Hybrid(MobileNetV2|EfficientNet); expected .*has8_resnet_b32_m2_d4"
    )

    with pytest.raises(ValueError, match=message):
        torch_weights.from_state_dict(model, {"fc.bias": np.zeros(10, np.float32)})
    with pytest.raises(ValueError, match=message):
        torch_weights.to_state_dict(model, {"params": {"classifier": {"bias": np.zeros(10, np.float32)}}})


def test_a_learned_gain_is_one_where_weights_come_from_the_release_and_does_not_go_there():
    model = model_of("has8_vgg_b2_m2_d1", spiking=hasnn_jax.AS_RECOMMENDED)
    plain = model_of("has8_vgg_b2_m2_d1")
    state_dict = torch_weights.to_state_dict(plain, drawn_variables(plain))
    variables = torch_weights.from_state_dict(model, state_dict)

    np.testing.assert_array_equal(variables["params"]["block1"]["gain"], np.ones(6))
    assert torch_weights.to_state_dict(model, variables).keys() == state_dict.keys()
    variables["params"]["block1"]["gain"][0] = 0.5
    with pytest.raises(hasnn_jax.InputError, match="block1/gain: the release adds its paths without a learned gain"):
        torch_weights.to_state_dict(model, variables)
