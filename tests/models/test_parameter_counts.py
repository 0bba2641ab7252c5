"""The models have as many trainable parameters as the authors' release, where they were counted."""

import jax
import pytest
from tiny_models import abstract_variables

import hasnn_jax

CLASSES = (10, 100, 101, 257, 1000)
COUNTS = {
    "has8_resnet_b32_m2_d4": (5_632_522, 5_655_652, 5_655_909, 5_696_001, 5_886_952),
    "has8_resnet_b64_m2_d4": (22_358_154, 22_404_324, 22_404_837, 22_484_865, 22_866_024),
    "has8_vgg_b16_m2_d4": (9_693_556, 9_785_896, 9_786_922, 9_946_978, 10_709_296),
    "has8_vgg_b24_m2_d4": (19_297_060, 19_389_400, 19_390_426, 19_550_482, 20_312_800),
}
DEEPER = {
    "has8_resnet34_b32": 10_944_744,
    "has8_resnet50_b32": 6_237_672,
    "has8_resnet101_b32": 9_762_792,
    "has8_resnet152_b32": 12_668_392,
}


def count(name, num_classes, **kwargs):
    variables = abstract_variables(hasnn_jax.create_model(name, num_classes, **kwargs))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    ("name", "num_classes", "expected"),
    [(name, classes, n) for name, counts in COUNTS.items() for classes, n in zip(CLASSES, counts, strict=True)]
    + [(name, 1000, n) for name, n in DEEPER.items()],
)
def test_parameter_count_is_the_releases(name, num_classes, expected):
    assert count(name, num_classes) == expected


@pytest.mark.parametrize("name", ["has8_resnet_b32_m2_d4", "has8_vgg_b16_m2_d4"])
def test_specs_do_not_change_the_number_of_parameters(name):
    assert count(name, 100, spiking=hasnn_jax.AS_RELEASED) == count(name, 100)


def test_each_path_holds_its_half_and_the_classifier_is_shared():
    hybrid, ann, snn = (count("has8_resnet_b32_m2_d4", 100, paths=p) for p in (("ann", "snn"), ("ann",), ("snn",)))
    classifier = 256 * 100 + 100

    assert ann == snn
    assert hybrid == 2 * ann - classifier
