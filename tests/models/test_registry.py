import jax.numpy as jnp
import pytest

import hasnn_jax
from hasnn_jax.models import HybridEfficientNet, HybridMobileNetV2, HybridResNet, HybridVGG

FAMILIES = {
    "vgg": HybridVGG,
    "resnet": HybridResNet,
    "mobilenetv2": HybridMobileNetV2,
    "efficientnet": HybridEfficientNet,
}


def test_listed_names_are_sorted_and_include_the_papers():
    names = hasnn_jax.list_models()

    assert names == sorted(set(names))
    assert {"has8_resnet_b32_m2_d4", "has8_resnet_b64_m2_d4", "has8_vgg_b16_m2_d4", "has8_vgg_b24_m2_d4"} <= set(names)
    assert {"has8_resnet34_b32", "has8_resnet50_b64", "has8_resnet152_b32"} <= set(names)


@pytest.mark.parametrize("name", hasnn_jax.list_models())
def test_every_listed_name_makes_its_model(name):
    model = hasnn_jax.create_model(name, num_classes=12)

    assert [type(model)] == [family for part, family in FAMILIES.items() if part in name]
    assert model.num_classes == 12
    assert getattr(model, "width", None) == 1 or f"_b{model.base_width}" in name


@pytest.mark.parametrize(
    ("name", "stages", "block", "width"),
    [
        ("has8_resnet_b8_m2_d4", (2, 2, 2, 2), "basic", 8),
        ("has8_resnet18_b8", (2, 2, 2, 2), "basic", 8),
        ("has8_resnet10_b2", (1, 1, 1, 1), "basic", 2),
        ("has8_resnet34_b7", (3, 4, 6, 3), "basic", 7),
        ("has8_resnet50_b16", (3, 4, 6, 3), "bottleneck", 16),
        ("has8_resnet152_b64", (3, 8, 36, 3), "bottleneck", 64),
    ],
)
def test_resnet_names_are_read_number_by_number(name, stages, block, width):
    model = hasnn_jax.create_model(name, 10)

    assert (model.stage_sizes, model.block, model.base_width, model.stem) == (stages, block, width, "imagenet")


def test_vgg_names_are_read_number_by_number():
    model = hasnn_jax.create_model("has8_vgg_b4_m3_d2", 10)

    assert (model.base_width, model.multiplier, model.depth) == (4, 3, 2)


@pytest.mark.parametrize(
    ("name", "family", "width"),
    [
        ("has8_mobilenetv2", HybridMobileNetV2, 1.0),
        ("has8_mobilenetv2_035", HybridMobileNetV2, 0.35),
        ("has8_mobilenetv2_140", HybridMobileNetV2, 1.4),
        ("has8_efficientnet_b0_050", HybridEfficientNet, 0.5),
    ],
)
def test_widths_of_mobile_networks_are_read_in_hundredths(name, family, width):
    model = hasnn_jax.create_model(name, 10, stem="small", paths=["snn"])

    assert type(model) is family
    assert (model.width, model.stem, model.layers.paths) == (width, "small", ("snn",))


def test_keywords_reach_every_block():
    model = hasnn_jax.create_model(
        "has8_resnet10_b2", 3, spiking=hasnn_jax.AS_RELEASED, paths=["snn"], stem="small",
        statistics_group=16, dtype=jnp.bfloat16,
    )  # fmt: skip

    assert model.stem == "small"
    assert model.layers.paths == ("snn",)
    assert model.layers.spiking is hasnn_jax.AS_RELEASED
    assert model.layers.statistics_group == 16
    assert model.layers.dtype == jnp.bfloat16


def test_defaults_are_the_paper_as_described():
    model = hasnn_jax.create_model("has8_vgg_b16_m2_d4", 10)

    assert model.layers.paths == ("ann", "snn")
    assert model.layers.spiking == hasnn_jax.AS_DESCRIBED
    assert model.layers.statistics_group is None
    assert model.layers.dtype == jnp.float32


def test_equal_models_are_equal_and_hash_alike():
    one, two = (hasnn_jax.create_model("has8_resnet10_b2", 3) for _ in range(2))

    assert one == two
    assert hash(one) == hash(two)
    assert one != hasnn_jax.create_model("has8_resnet10_b2", 4)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("has8_resnet_b32_m3_d4", "has8_resnet_b32_m2_d4"),
        ("has8_resnet33_b32", "has8_resnet34_b32"),
        ("has8_vgg_b16_d4", "has8_vgg_b16_m2_d4"),
        ("resnet50_b64", "has8_resnet50_b64"),
        ("HAS8_resnet50_b64", "has8_resnet50_b64"),
        ("has8_resnet50_b64 ", "has8_resnet50_b64"),
        ("has8_mobilenetv2_35", "has8_mobilenetv2"),
        ("has8_mobilenet_v2", "has8_mobilenetv2"),
        ("has8_efficientnet_b1", "has8_efficientnet_b0"),
    ],
)
def test_an_unknown_name_is_answered_with_the_valid_ones_and_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=f"unknown model '{name}': expected one of has8_") as error:
        hasnn_jax.create_model(name, 10)
    assert str(error.value).endswith(f"did you mean '{nearest}'?")


@pytest.mark.parametrize(
    "name",
    ["has8_vgg_b0_m2_d4", "has8_vgg_b1_m2_d0", "has8_resnet_b0_m2_d4", "has8_resnet50_b0", "has8_mobilenetv2_000"],
)
def test_zero_widths_and_depths_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name}'?: .*must be 1 or more"):
        hasnn_jax.create_model(name, 10)


@pytest.mark.parametrize("width", [1, 4, 7])
def test_a_bottleneck_too_narrow_to_have_a_channel_is_refused_with_the_width_it_needs(width):
    with pytest.raises(ValueError, match=rf"has8_resnet50_b{width}'.*8"):
        hasnn_jax.create_model(f"has8_resnet50_b{width}", 10)


@pytest.mark.parametrize("classes", [0, -3])
def test_fewer_than_one_class_is_refused(classes):
    with pytest.raises(ValueError, match=f"num_classes: expected 1 or more, got {classes}"):
        hasnn_jax.create_model("has8_resnet_b32_m2_d4", classes)


def test_an_empty_statistics_group_is_refused():
    with pytest.raises(ValueError, match="statistics_group: expected 1 or more examples, or None for all; got 0"):
        hasnn_jax.create_model("has8_resnet_b32_m2_d4", 10, statistics_group=0)


def test_an_unknown_stem_is_answered_with_the_nearest_and_a_vgg_takes_none():
    with pytest.raises(ValueError, match=r"unknown stem 'smal': expected one of imagenet, small; did you mean 'small'"):
        hasnn_jax.create_model("has8_resnet_b32_m2_d4", 10, stem="smal")
    with pytest.raises(ValueError, match="stem: has8_vgg_b16_m2_d4 is a VGG and has no stem"):
        hasnn_jax.create_model("has8_vgg_b16_m2_d4", 10, stem="small")


@pytest.mark.parametrize("paths", ["ann", "snn"])
def test_a_path_given_as_a_bare_string_is_refused_and_shown_as_given(paths):
    with pytest.raises(ValueError, match=f"'{paths}'") as error:
        hasnn_jax.create_model("has8_resnet_b32_m2_d4", 10, paths=paths)
    assert "'a', 'n'" not in str(error.value)
    assert "'s', 'n'" not in str(error.value)
