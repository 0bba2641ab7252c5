"""Cases of the training step: their names, configs and images."""

import dataclasses
import json

import numpy as np
import pytest
from train_step_cases import CASES, Case, from_record, replaced

from hasnn_jax import InputError

CASE = Case("has8_resnet10_b8", batch=4, image_size=32, settings=(("model.spiking.planes", 2),))


def test_every_listed_case_has_a_valid_config_and_a_name_of_its_own():
    cases = [case for of_device in CASES.values() for case in of_device.values()]

    for case in cases:
        config = case.config()
        assert (config.model.name, config.batch_size, config.model.dtype) == (case.model, case.batch, case.dtype)
    assert len({case.name for case in cases}) == len(cases) == 11


def test_settings_reach_the_config_and_the_name():
    assert CASE.config().model.spiking.planes == 2
    assert CASE.name == "has8_resnet10_b8, 4 x 32x32, float32, model.spiking.planes=2"


def test_an_unknown_setting_is_refused():
    with pytest.raises(InputError, match=r"did you mean 'model\.paths'"):
        dataclasses.replace(CASE, settings=(("model.plains", 2),)).config()


def test_a_batch_of_none_is_refused():
    with pytest.raises(InputError, match="batch_size"):
        dataclasses.replace(CASE, batch=0).config()


def test_a_case_survives_json():
    assert from_record(json.loads(json.dumps(dataclasses.asdict(CASE)))) == CASE


def test_given_fields_replace_those_of_all_cases_and_equal_cases_are_one():
    small, large = CASES["cpu"]["b32_16x32"], CASES["cpu"]["b32_4x224"]
    cases = replaced([small, large], batch=2, image_size=None)
    same = replaced([small, large], batch=2, image_size=32)

    assert [(case.batch, case.image_size) for case in cases] == [(2, 32), (2, 224)]
    assert same == [Case("has8_resnet_b32_m2_d4", 2, 32)]


def test_images_are_the_same_on_every_call():
    first, second = CASE.images_and_labels(), CASE.images_and_labels()

    assert first["image"].shape == (4, 32, 32, 3)
    assert first["image"].dtype == np.uint8
    assert set(first["label"]) <= set(range(10))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
