"""What is timed by `train_step.py`: a model, its images, a precision, and the config that follows from them."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from hasnn_jax.config import default_config, validate

STEPS_PER_EPOCH = 1_000  # for the learning rate's schedule, which is constant
THREADS = os.cpu_count() or 1
TWINS = {"plain": "twin", "channels_last": "twin in channels_last", "compile": "twin with torch.compile"}
"""The variants of the twin, and the names of their rows."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One training step of one model.

    Attributes:
      model: see `hasnn_jax.list_models()`.
      batch: images in a step.
      image_size: height and width, in pixels.
      dtype: "float32" or "bfloat16": of convolutions and linear layers.
      spec: "as_released" or "as_described".
      settings: further settings of the port's config, as (dotted key, value). The twin does not see them.
    """

    model: str
    batch: int
    image_size: int
    dtype: str = "float32"
    spec: str = "as_released"
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """For people: "has8_resnet_b32_m2_d4, 16 x 32x32, float32"."""
        spec = [] if self.spec == "as_released" else [self.spec]
        settings = [f"{key}={value}" for key, value in self.settings]
        size = f"{self.batch} x {self.image_size}x{self.image_size}"
        return ", ".join([self.model, size, self.dtype, *spec, *settings])

    @property
    def num_classes(self) -> int:
        """Those of ImageNet, or those of CIFAR-10 for small images."""
        return 1_000 if self.image_size >= 224 else 10

    def config(self) -> ConfigDict:
        """The config of a run with this step: SGD with Nesterov momentum, as in `configs/imagenet.py`.

        Raises:
          InputError: a setting is out of range.
        """
        config = default_config()
        config.batch_size = self.batch
        config.model.name = self.model
        config.model.dtype = self.dtype
        config.model.spiking.spec = self.spec
        config.data.image_size = self.image_size
        config.data.num_classes = self.num_classes
        config.optim.name = "sgd"
        config.optim.learning_rate = 0.1 * 16 / 256
        config.optim.weight_decay = 5e-4
        config.update_from_flattened_dict(dict(self.settings))
        validate(config)
        return config

    def images_and_labels(self) -> dict[str, np.ndarray]:
        """Random images, uint8 [B, H, W, 3], and labels, int32 [B]; the same ones on every call."""
        rng = np.random.default_rng(0)
        shape = (self.batch, self.image_size, self.image_size, 3)
        return {
            "image": rng.integers(0, 256, shape, np.uint8),
            "label": rng.integers(0, self.num_classes, self.batch, np.int32),
        }


def from_record(record: Mapping[str, Any]) -> Case:
    """The inverse of `dataclasses.asdict`, after the record has been through JSON."""
    return Case(**{**record, "settings": tuple((key, value) for key, value in record["settings"])})


B32, B64 = "has8_resnet_b32_m2_d4", "has8_resnet_b64_m2_d4"
CASES = {
    "cpu": {
        "b32_16x32": Case(B32, 16, 32),
        "b32_4x224": Case(B32, 4, 224),
        "b32_4x224_lean": Case(B32, 4, 224, settings=(("model.remat", "block"),)),
    },
    "gpu": {
        f"{name}_{batch}x224_{dtype}": Case(model, batch, 224, dtype)
        for name, model in (("b32", B32), ("b64", B64))
        for batch in (64, 256)
        for dtype in ("float32", "bfloat16")
    },
}
"""The cases of a kind of device, by the names that the command line takes."""


def replaced(cases: Sequence[Case], **fields: Any) -> list[Case]:
    """The cases with those of the fields replaced that are not None; of equal cases one is kept."""
    given = {name: value for name, value in fields.items() if value is not None}
    return list(dict.fromkeys(dataclasses.replace(case, **given) for case in cases))
