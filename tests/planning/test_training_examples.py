"""The number of training examples, with the data and without."""

import pytest
from tiny_runs import tiny_config

from hasnn_jax.common.errors import InputError
from hasnn_jax.planning.training_examples import count_examples


def data_settings(**changes):
    return tiny_config(**{f"data__{key}": value for key, value in changes.items()}).data


def test_number_of_examples_comes_from_the_data_or_is_known_without_it(tmp_path):
    absent = {"source": "tfds", "data_dir": str(tmp_path)}
    assert count_examples(data_settings(), None) == (1438, 1)
    assert count_examples(data_settings(), 500) == (500, 1)
    assert count_examples(data_settings(name="imagenet2012", num_classes=1000, **absent), None) == (1_281_167, 3)
    assert count_examples(data_settings(name="cifar100:3.0.2", **absent), None) == (50_000, 3)
    assert count_examples(data_settings(name="birds", **absent), 123) == (123, 3)
    with pytest.raises(
        InputError, match=r"no prepared data in .*; or give the number of training examples with --examples"
    ):
        count_examples(data_settings(name="birds", **absent), None)
    with pytest.raises(InputError, match="expected one of digits, folder, tfds"):
        count_examples(data_settings(source="cloud", name="cifar10"), None)
    with pytest.raises(InputError, match="has 10 classes, got 11"):
        count_examples(data_settings(num_classes=11), 500)
