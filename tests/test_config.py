"""The config files load and name things that exist; a bad key or value is refused by name."""

import math
import pathlib

import pytest

from hasnn_jax.commands.config_overrides import without_nones
from hasnn_jax.common.errors import InputError
from hasnn_jax.config import RESUMABLE, default_config, flatten, override_fault, validate

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
KEYS = sorted(flatten(default_config()))


def changed(**values):
    """The default config with values at dotted keys, written with two underscores for a dot."""
    config = default_config()
    with config.unlocked():
        for key, value in values.items():
            config.update_from_flattened_dict({key.replace("__", "."): value})
    return config


def with_value(key, value):
    """The default config with any value at all at a key, past the checks of type."""
    config = default_config()
    *path, last = key.split(".")
    section = config
    for name in path:
        section = section[name]
    with config.unlocked(), config.ignore_type():
        section[last] = value
    return config


def test_a_config_is_made_anew_each_time():
    default_config().optim.learning_rate = 1.0
    assert default_config().optim.learning_rate == 1e-3


def test_flattening_gives_every_setting_by_its_dotted_key():
    flat = flatten(default_config())
    assert flat["seed"] == 3407
    assert flat["model.spiking.spec"] == "as_described"
    assert flat["optim.clip_norm"] is None
    assert not any(hasattr(value, "keys") for value in flat.values())


def test_what_may_change_in_a_continued_run_are_settings_that_exist():
    assert set(KEYS) >= RESUMABLE
    assert not {key for key in RESUMABLE if key.startswith(("model.", "optim."))}


def misspelt(key):
    """The key without the last letter but one."""
    return key[:-2] + key[-1]


@pytest.mark.parametrize("key", KEYS)
def test_an_unknown_key_is_answered_with_the_nearest_one(key):
    with pytest.raises(InputError, match=f"^unknown config key '{misspelt(key)}': .*; did you mean '{key}'\\?$"):
        validate(changed(**{misspelt(key): flatten(default_config())[key]}))


@pytest.mark.parametrize("key", KEYS)
def test_an_unknown_key_on_the_command_line_is_answered_with_the_nearest_one(key):
    error = override_fault(["train.py", "--workdir=x", f"--config.{misspelt(key)}=1"])
    assert isinstance(error, InputError)
    assert str(error).startswith(f"unknown config key '{misspelt(key)}': ")
    assert str(error).endswith(f"; did you mean '{key}'?")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", ["--config.{}=1", "-config.{}=1", "--config.{}"])
def test_known_keys_pass_on_the_command_line(key, form):
    arguments = ["train.py", "--config=configs/digits.py", "--workdir=x", form.format(key), "1"]
    assert override_fault(arguments) is None


OPTIONAL = sorted(key for key, value in flatten(default_config()).items() if value is None)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_none_passes_on_the_command_line_where_it_means_something(key):
    error = override_fault([f"--config.{key}=None"])
    assert (error is None) == (key in OPTIONAL)
    assert error is None or str(error).startswith(f"config.{key}: expected a value such as ")


def test_nones_are_taken_out_of_the_command_line_and_the_last_override_counts():
    rest = ["train.py", "--workdir=None", "--config.seed=3", "--config.model.name=x"]
    assert without_nones(rest) == (rest, [])
    assert without_nones([*rest, "--config.a.b=1", "-config.a.b=None"]) == (rest, ["a.b"])
    assert without_nones([*rest, "--config.a.b=None", "--config.a.b=1"]) == ([*rest, "--config.a.b=1"], [])


def test_missing_keys_are_named():
    config = default_config()
    with config.unlocked():
        del config.optim.learning_rate
        del config.schedule
    with pytest.raises(InputError, match=r"^config: missing optim\.learning_rate, schedule\.name, .*default_config"):
        validate(config)


POSITIVE_WHOLE = [
    "epochs",
    "batch_size",
    "data.num_classes",
    "data.image_size",
    "log_every_steps",
    "eval_every_epochs",
    "save_every_epochs",
    "keep_checkpoints",
]
INVALID = {
    **dict.fromkeys(POSITIVE_WHOLE, (0, -1, 2.5, math.nan, "many")),
    "seed": (-1, 2**32, 0.5),
    "optim.learning_rate": (0.0, -1e-3, math.nan, math.inf),
    "optim.weight_decay": (-1e-4, math.nan, math.inf),
    "optim.momentum": (-0.1, 1.0, math.nan),
    "optim.clip_norm": (0.0, -1.0, math.nan, math.inf),
    "optim.clip_rms": (0.0, -1.0, math.nan, math.inf),
    "optim.label_smoothing": (-0.1, 1.0, math.nan),
    "optim.mixup": (0.0, -0.2, math.nan, math.inf),
    "optim.cutmix": (0.0, -1.0, math.nan, math.inf),
    "schedule.warmup_epochs": (-1, 0.5),
    "schedule.warmup_start": (-0.1, 1.1, math.nan),
    "data.shift": (-1, 0.5),
    "data.randaugment": (0, -1, 1.5),
    "data.randaugment_magnitude": (-1, 31, 4.5),
    "data.random_erasing": (-0.1, 1.1, math.nan),
    "model.statistics_group": (0, -4, 3, 32),  # the batch is 16
    "model.dtype": ("float16", "int8", ""),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in INVALID.items() for value in values])
def test_a_value_out_of_range_is_refused_with_key_expectation_and_value(key, value):
    with pytest.raises(InputError) as caught:
        validate(with_value(key, value))
    message = str(caught.value)
    assert message.startswith(f"config.{key}: expected ")
    assert message.endswith(f"; got {value!r}")


VALID = {
    "epochs": (1, 1000),
    "batch_size": (1, 4096),
    "seed": (0, 2**32 - 1),
    "optim.learning_rate": (1e-9, 3),
    "optim.weight_decay": (0.0, 0.1),
    "optim.momentum": (0.0, 0.999),
    "optim.clip_norm": (None, 1e-3, 5),
    "optim.clip_rms": (None, 1e-3, 5),
    "optim.label_smoothing": (0.0, 0.99),
    "optim.mixup": (None, 0.2, 1),
    "optim.cutmix": (None, 0.2, 1),
    "schedule.warmup_epochs": (0, 500),
    "schedule.warmup_start": (None, 0.0, 1.0),
    "data.shift": (0, 4),
    "data.randaugment": (None, 1, 3),
    "data.randaugment_magnitude": (0, 9, 30),
    "data.random_erasing": (0.0, 0.25, 1.0),
    "model.statistics_group": (None, 1, 4, 16),
    "model.dtype": ("float32", "bfloat16"),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in VALID.items() for value in values])
def test_the_edges_of_a_range_are_accepted(key, value):
    validate(with_value(key, value))


def test_the_bound_of_the_seed_is_said():
    with pytest.raises(
        InputError, match=r"^config\.seed: expected .*(2\*\*32|4294967295|4294967296).*; got 4294967296$"
    ):
        validate(with_value("seed", 2**32))


@pytest.mark.parametrize("key", ["optim.mixup", "optim.cutmix"])
@pytest.mark.parametrize("alone", [{"batch_size": 1}, {"model__statistics_group": 1}])
def test_mixing_needs_two_images_in_a_group(key, alone):
    with pytest.raises(InputError, match=rf"^config\.{key}: expected None, or 2 or more images .*; got 0\.2$"):
        validate(changed(**alone, **{key.replace(".", "__"): 0.2}))
