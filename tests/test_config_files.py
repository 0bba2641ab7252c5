"""The config files load, name what exists, and follow the recipes that they are named after."""

import importlib
import math
import pathlib

import pytest

from hasnn_jax import data
from hasnn_jax.config import validate
from hasnn_jax.models import create_model, spiking_spec
from hasnn_jax.training import optimizers

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


@pytest.fixture
def load(monkeypatch):
    """Loads a config file by name, as train.py does from the project's root."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"configs.{name}").get_config()


def test_there_is_a_config_for_every_data_set_of_the_paper_and_one_without_download():
    assert {"digits", "cifar10", "cifar100", "caltech101", "caltech256", "imagenet"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_config_file_is_valid_and_names_what_exists(load, name):
    config = load(name)
    validate(config)
    assert config.data.source in data.SOURCES
    assert config.optim.name in optimizers.OPTIMIZERS
    assert config.schedule.name in optimizers.SCHEDULES
    create_model(config.model.name, config.data.num_classes, spiking=spiking_spec(**config.model.spiking))


@pytest.mark.parametrize("name", [name for name in FILES if name != "digits"])  # the default: it needs no flag
def test_every_config_file_says_how_to_run_it(name):
    assert f"hasnn train --config configs/{name}.py " in (ROOT / "configs" / f"{name}.py").read_text()


@pytest.mark.parametrize(
    ("name", "classes"),
    [("digits", 10), ("cifar10", 10), ("cifar100", 100), ("caltech101", 101), ("caltech256", 257), ("imagenet", 1000)],
)
def test_every_config_has_its_data_sets_number_of_classes(load, name, classes):
    assert load(name).data.num_classes == classes


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "caltech101", "caltech256"])
def test_small_data_sets_follow_the_releases_recipe(load, name):
    config = load(name)
    optim = config.optim
    assert (optim.name, optim.learning_rate, optim.weight_decay, config.batch_size) == ("adam", 1e-3, 1e-3, 16)
    assert (config.schedule.name, config.seed) == ("constant", 3407)
    assert (config.data.image_size, config.data.flip, config.data.shift) == (224, True, 0)


def test_imagenet_follows_the_releases_recipe(load):
    config = load("imagenet")
    optim, schedule = config.optim, config.schedule
    assert (optim.name, optim.weight_decay, optim.momentum, config.batch_size) == ("sgd", 5e-4, 0.9, 16)
    assert math.isclose(optim.learning_rate, 0.00625)
    assert (schedule.name, schedule.warmup_epochs, schedule.per_epoch) == ("warmup_cosine", 5, True)
    assert (config.epochs, schedule.warmup_start, config.seed) == (100, None, 3407)
    assert (config.data.image_size, config.data.flip) == (224, True)


@pytest.mark.parametrize(("name", "classes"), [("cifar10_modern", 10), ("imagenet_modern", 1000)])
def test_modern_recipes_augment_mix_average_and_take_the_recommended_spec(load, name, classes):
    config = load(name)
    assert (config.model.spiking.spec, config.optim.name, config.data.num_classes) == (
        "as_recommended",
        "adamw",
        classes,
    )
    assert all((config.data.randaugment, config.optim.mixup, config.optim.cutmix, config.optim.average_decay))
    assert not config.schedule.per_epoch
