"""The settings of a run: all keys with their defaults and meanings, and which values are valid.

A file in `configs/` starts from `default_config()` and changes some settings; the command line changes single ones
(`--config.optim.learning_rate=3e-4`). Where no other meaning is given, None keeps the spec's or the model's own value.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import unknown_name

_CHOICES = {
    "model.init_head": ("keep", "fresh"),
    "model.init_spiking": ("keep", "fresh"),
    "model.remat": ("none", "spikes", "block"),
    "model.kernels": ("pallas", "xla"),
}


def default_config() -> ConfigDict:
    """All settings, with the values of the release's recipe for small data sets."""
    config = ConfigDict()
    config.seed = 3407
    config.epochs = 100
    config.batch_size = 16  # examples per step, over all devices
    config.accumulate = 1  # gradient accumulation steps per device: more take less memory

    config.model = ConfigDict()
    config.model.name = "has8_resnet_b32_m2_d4"  # see hasnn_jax.list_models()
    config.model.stem = "imagenet"  # or "small": 3x3, stride 1, for images of 64 pixels or less
    config.model.paths = ("ann", "snn")  # ("ann",) and ("snn",) are the pure baselines
    config.model.statistics_group = placeholder(int)  # consecutive examples with shared batch statistics; None: all
    config.model.dtype = "float32"  # or "bfloat16": of convolutions and linear layers
    config.model.remat = "none"  # or "spikes", "block": less of a block is kept for the backward pass; see LayerFactory
    config.model.kernels = "pallas"  # what trains the stem on GPUs in bfloat16; or "xla", as on other devices
    config.model.init_from = placeholder(str)  # weights to start from: a run's workdir or checkpoint, or converted ones
    config.model.init_head = "keep"  # or "fresh": initialise the output layers anew, for other classes
    config.model.init_spiking = "keep"  # or "fresh": initialise the spiking paths anew, beside a trained ANN path

    config.model.spiking = ConfigDict()
    config.model.spiking.spec = "as_described"  # as_released, as_recommended; the settings below replace points of it
    config.model.spiking.surrogate = placeholder(str)  # fouriersine, sigsine, tanhsine, constant; "sigsine(alpha=-5)"
    config.model.spiking.rescaling = placeholder(str)  # order_aware, none, unit_gain; "power(order=0, gain=0.01)"
    config.model.spiking.plane_order = placeholder(str)  # msb_first, lsb_first
    config.model.spiking.lowest_plane = placeholder(str)  # binary, fractional
    config.model.spiking.value_range = placeholder(str)  # running, example, batch
    config.model.spiking.range_gradient = placeholder(str)  # differentiated, stopped
    config.model.spiking.planes = placeholder(int)  # 1..8: how many planes are kept, the most significant ones
    config.model.spiking.vector_gradient = placeholder(str)  # per_plane, pooled
    config.model.spiking.neuron = placeholder(str)  # if, lif; "lif(tau=4.0, reset='soft')"
    config.model.spiking.spike_surrogate = placeholder(str)  # arctan, sigmoid, fast_sigmoid, triangle, rectangle
    config.model.spiking.decoder = placeholder(str)  # bit_planes, bit_planes_lsb_first, rate
    config.model.spiking.gain = placeholder(str)  # one, learned: of the spiking path, where it is added to the ANN path

    config.data = ConfigDict()
    config.data.source = "digits"  # digits, tfds, folder
    config.data.name = "digits"  # of the data set, for tfds and for messages
    config.data.data_dir = "~/data"  # for tfds, the folder of prepared data sets; for folder, the tree of class folders
    config.data.exclude = ()  # class folders to leave out
    config.data.how_to_get = ""  # advice in the error for a missing folder
    config.data.num_classes = 10
    config.data.validation = placeholder(
        float
    )  # share of the training images to evaluate on instead of the test images, to choose settings by; None: off
    config.data.image_size = 8  # pixels, after resizing
    config.data.resize_shorter = placeholder(
        int
    )  # shorter side before the centre crop; None: resize to a square instead
    config.data.crop_scale = placeholder(float)  # random resized crop of at least this share of the area; None: off
    config.data.flip = False  # mirror training images left and right at random
    config.data.shift = 0  # shift training images by up to so many pixels at random
    config.data.randaugment = placeholder(int)  # random operations on each training image, 2 is usual; None: off
    config.data.randaugment_magnitude = 9  # how strong these operations are, 0..30
    config.data.random_erasing = 0.0  # probability that a rectangle of a training image is blackened
    config.data.workers = 0  # worker processes that read and decode; 0: threads of the main process
    config.data.on_bad_image = "stop"  # or "skip": replace an unreadable image by the next one, and count it

    config.optim = ConfigDict()
    config.optim.name = "adam"  # adam and sgd add weight decay to the gradient (L2), adamw to the update
    config.optim.learning_rate = 1e-3
    config.optim.weight_decay = 1e-3
    config.optim.momentum = 0.9  # of sgd, with Nesterov
    config.optim.clip_norm = placeholder(float)  # largest global norm of the gradient; None: not clipped
    config.optim.clip_rms = placeholder(
        float
    )  # largest root mean square of each parameter's gradient; None: not clipped
    config.optim.label_smoothing = 0.0  # share of the label's probability that is spread over all classes
    config.optim.mixup = placeholder(float)  # alpha of the Beta distribution of the images' shares (0.2); None: off
    config.optim.cutmix = placeholder(float)  # the same (1.0); with mixup too, each step draws one of them evenly
    config.optim.average_decay = placeholder(float)  # of a moving average of the weights to evaluate with; None: off

    config.schedule = ConfigDict()
    config.schedule.name = "constant"  # or "warmup_cosine": linear from lr * warmup_start to lr, then cosine to 0
    config.schedule.warmup_epochs = 5
    config.schedule.warmup_start = placeholder(float)  # share of lr to start from; None: lr / 10, the release's
    config.schedule.per_epoch = True  # change the learning rate once per epoch (the release); False: every step

    config.log_every_steps = 50
    config.loggers = ("tensorboard",)  # of tensorboard, wandb, mlflow; metrics.jsonl is always written
    config.eval_every_epochs = 1
    config.save_every_epochs = 1
    config.keep_checkpoints = 2  # how many of the latest
    config.keep_best = 1  # how many checkpoints with the highest test accuracy to keep in addition
    config.shard_parameters = False  # shard parameters and optimizer state over the devices instead of replicating them
    return config


# What may differ when a run is resumed in the same workdir.
RESUMABLE = frozenset(
    {"epochs", "log_every_steps", "eval_every_epochs", "save_every_epochs", "keep_checkpoints", "data.data_dir",
     "keep_best", "shard_parameters", "accumulate", "data.how_to_get", "data.workers", "loggers"}
)  # fmt: skip

_POSITIVE_WHOLE = (
    "epochs", "batch_size", "data.num_classes", "data.image_size", "log_every_steps", "eval_every_epochs",
    "save_every_epochs", "keep_checkpoints", "accumulate",
)  # fmt: skip

OVERRIDE = re.compile(r"--?config\.([^=]+)(?:=(.*))?", re.DOTALL)


def validate(config: ConfigDict) -> None:
    """Raises InputError for an unknown key or a value out of range. Names are checked when they become objects."""
    known, given = flatten(default_config()), flatten(config)
    for key in given:
        if key not in known:
            raise _unknown_key(key, known)
    if missing := sorted(known.keys() - given.keys()):
        raise InputError(f"config: missing {', '.join(missing)}; start from hasnn_jax.config.default_config()")
    for key in _POSITIVE_WHOLE:
        _require(given, key, lambda v: isinstance(v, int) and v >= 1, "a whole number, 1 or more")
    _require(given, "seed", lambda v: isinstance(v, int) and 0 <= v < 2**32, "a whole number from 0 to 4294967295")
    _require(given, "optim.learning_rate", lambda v: v > 0, "a number above 0")
    _require(given, "optim.weight_decay", lambda v: v >= 0, "a number, 0 or more")
    _require(given, "optim.momentum", lambda v: 0 <= v < 1, "a number from 0 to below 1")
    for key in ("optim.clip_norm", "optim.clip_rms"):
        _require(given, key, lambda v: v is None or v > 0, "a number above 0, or None")
    _require(given, "optim.label_smoothing", lambda v: 0 <= v < 1, "a number from 0 to below 1")
    _require(given, "optim.average_decay", lambda v: v is None or 0 < v < 1, "a number between 0 and 1, or None")
    for key in ("optim.mixup", "optim.cutmix"):
        _require(given, key, lambda v: v is None or v > 0, "a number above 0, or None")
    _require(given, "keep_best", lambda v: isinstance(v, int) and v >= 0, "a whole number, 0 or more")
    _require_switch(given, "shard_parameters")
    _require(given, "loggers", lambda v: isinstance(v, tuple), "a tuple of names, such as ('tensorboard', 'wandb')")
    _require(given, "schedule.warmup_epochs", lambda v: isinstance(v, int) and v >= 0, "a whole number, 0 or more")
    _require(given, "schedule.warmup_start", lambda v: v is None or 0 <= v <= 1, "a number from 0 to 1, or None")
    _require(given, "data.validation", lambda v: v is None or 0 < v < 1, "a share between 0 and 1, or None")
    _require(given, "data.crop_scale", lambda v: v is None or 0 < v <= 1, "a share above 0, up to 1, or None")
    _require(
        given,
        "data.randaugment",
        lambda v: v is None or (isinstance(v, int) and v >= 1),
        "1 or more operations, or None",
    )
    _require(
        given,
        "data.randaugment_magnitude",
        lambda v: isinstance(v, int) and 0 <= v <= 30,
        "a whole number from 0 to 30",
    )
    _require(given, "data.random_erasing", lambda v: 0 <= v <= 1, "a probability from 0 to 1")
    _require(given, "data.workers", lambda v: isinstance(v, int) and v >= 0, "a whole number, 0 or more")
    _require(given, "data.on_bad_image", lambda v: v in ("stop", "skip"), "stop or skip")
    _require(
        given,
        "data.resize_shorter",
        lambda v: v is None or (isinstance(v, int) and v >= config.data.image_size),
        f"{config.data.image_size} pixels (data.image_size) or more, or None",
    )
    _require(given, "data.shift", lambda v: isinstance(v, int) and v >= 0, "a whole number of pixels, 0 or more")
    _require(
        given,
        "model.statistics_group",
        lambda v: v is None or (isinstance(v, int) and v >= 1 and config.batch_size % v == 0),
        f"a divisor of the batch size of {config.batch_size}, or None for the whole batch",
    )
    group = config.model.statistics_group or config.batch_size
    for key in ("optim.mixup", "optim.cutmix"):
        _require(
            given,
            key,
            lambda v: v is None or group > 1,
            "None, or 2 or more images in a batch and in config.model.statistics_group, to be mixed with each other",
        )
    for key, (*others, last) in _CHOICES.items():
        _require(given, key, (*others, last).__contains__, f"{', '.join(others)} or {last}")
    _require(given, "model.dtype", lambda v: v in ("float32", "bfloat16", "float64"), "float32 or bfloat16")


def override_fault(argv: Sequence[str]) -> InputError | None:
    """The error for the first `--config.KEY=VALUE` with an unknown key, or None where a value is needed; else None."""
    known = flatten(default_config())
    for argument in argv:
        if match := OVERRIDE.fullmatch(argument):
            key, value = match.groups()
            if key not in known:
                return _unknown_key(key, known)
            if value == "None" and known[key] is not None:
                return InputError(f"config.{key}: expected a value such as {known[key]!r}; got None")
    return None


def _unknown_key(key: str, known: Collection[str]) -> InputError:
    section = key.rpartition(".")[0]
    siblings = [other for other in known if other.rpartition(".")[0] == section]
    return unknown_name("config key", key, siblings or known)


def _require(flat: dict[str, Any], key: str, holds: Callable[[Any], bool], expected: str) -> None:
    value = flat[key]
    broken = isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value))
    if broken or not holds(value):
        raise InputError(f"config.{key}: expected {expected}; got {value!r}")


def _require_switch(flat: dict[str, Any], key: str) -> None:
    if not isinstance(flat[key], bool):
        raise InputError(f"config.{key}: expected True or False; got {flat[key]!r}")


def from_flat(settings: Mapping[str, Any]) -> ConfigDict:
    """The default config with the settings of a record, by their dotted keys; keys of another version are left out."""
    config = default_config()
    known = flatten(config)
    with config.unlocked():
        config.update_from_flattened_dict({key: value for key, value in settings.items() if key in known})
    return config


def flatten(config: ConfigDict, prefix: str = "") -> dict[str, Any]:
    """All settings by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
