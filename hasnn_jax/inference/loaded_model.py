"""A trained model with what is needed to use it: class names, preprocessing, compiled functions."""

import dataclasses
import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import Preprocessing
from hasnn_jax.inference.block_outputs import block_outputs
from hasnn_jax.models import Model
from hasnn_jax.training.steps import unit_images

CHUNK = 16  # images that one call of the compiled function takes; fewer are padded
BATCH_WIDE = (
    "this model scales values by the range of its whole batch, as the authors' release does; what it says of an image "
    "depends on the other images that it is given with"
)


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedModel:
    """A trained model, made by `hasnn_jax.load`.

    Attributes:
      name: such as "has8_resnet_b32_m2_d4".
      model: the Flax module.
      variables: its parameters and batch statistics.
      classes: class names, in the order of the probabilities; None if the weights have none.
      preprocessing: how images are brought to the model's size, as in the evaluation of the run.
      image_shape: (height, width, channels) of the model's images.
    """

    name: str
    model: Model
    variables: Mapping[str, Any]
    classes: tuple[str, ...] | None
    preprocessing: Preprocessing
    image_shape: tuple[int, int, int]

    @property
    def depends_on_batch(self) -> bool:
        """Whether the images of a batch share a value range, so that predictions depend on the whole batch."""
        layers = self.model.layers
        return "snn" in layers.paths and layers.spiking.coding.value_range == "batch"

    def predict(self, images: Array | np.ndarray) -> np.ndarray:
        """The probability of each class: [B, H, W, C] -> float32 [B, num_classes].

        An image has the same probabilities alone and in any batch, unless `depends_on_batch`; this gives a warning.

        Args:
          images: uint8, or floating in [0, 1], of `image_shape`; `hasnn_jax.inference.pictures` reads them from files.

        Raises:
          InputError: another shape or dtype, NaN, or values outside [0, 1].
        """
        images = self._checked(images)
        if self.depends_on_batch:
            warnings.warn(BATCH_WIDE, stacklevel=2)
            return np.asarray(self._probabilities(self.variables, images))
        chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
        return np.concatenate([self._predict_chunk(chunk) for chunk in chunks])

    def features(self, images: Array | np.ndarray, *, layers: bool = False) -> dict[str, Array]:
        """What every block computes from images, by name; for transfer, and for looking inside.

        For each block: "stage1_block1", its output [B, H, W, C]; "stage1_block1/ann", the ANN path's; and of the
        spiking path "stage1_block1/planes", the bit planes that enter it, "stage1_block1/spikes", the spike trains that
        leave it, both [T, B, H, W, C], and "stage1_block1/snn", these decoded. Spike trains are 0 and 1, but for blocks
        that end with a pool (their means) and residual blocks (sums of two). Also "logits" [B, num_classes].

        With `layers`, also what goes into and out of every spiking activation, by the name of the layer in front of it:
        "stage1_block1/snn/norm1/currents", floating, and "stage1_block1/snn/norm1/spikes", 0 and 1, both [T, B, ...].
        The membranes are `model.layers.spiking.neuron.trace(currents)[1]`.

        Args:
          images: as for `predict`; all of them are computed in one batch.
          layers: whether to add the spiking layers; these calls are compiled apart from those without.

        Raises:
          InputError: as for `predict`.
        """
        names, compute = self._layer_features if layers else self._block_features
        outputs = compute(self.variables, self._checked(images))
        return dict(zip(names, outputs, strict=True))

    def probabilities(self, variables: Mapping[str, Any], images: Array) -> Array:
        """The pure function behind `predict`: uint8 or floating images -> probabilities, float32."""
        return probabilities_of(jnp.asarray(self.model.apply(variables, _unit(images), train=False)))

    @functools.cached_property
    def _probabilities(self) -> Callable[..., Array]:
        return jax.jit(self.probabilities)

    @functools.cached_property
    def _block_features(self) -> tuple[list[str], Callable[..., list[Array]]]:
        return self._compiled_features(layers=False)

    @functools.cached_property
    def _layer_features(self) -> tuple[list[str], Callable[..., list[Array]]]:
        return self._compiled_features(layers=True)

    def _compiled_features(self, *, layers: bool) -> tuple[list[str], Callable[..., list[Array]]]:
        names: list[str] = []

        @jax.jit
        def compute(variables, images):
            outputs = block_outputs(self.model, variables, _unit(images), layers=layers)
            names[:] = outputs  # here, while it is traced, because a dict would come back in the order of the alphabet
            return list(outputs.values())

        return names, compute

    def _predict_chunk(self, images: np.ndarray) -> np.ndarray:
        # All calls have the same shape: one compilation, and the same rounding for an image in any company.
        missing = CHUNK - len(images)
        padded = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
        return np.asarray(self._probabilities(self.variables, padded))[: len(images)]

    def _checked(self, images: Array | np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        expected = f"[batch, {', '.join(map(str, self.image_shape))}]"
        if images.ndim != 4 or images.shape[1:] != self.image_shape or not len(images):
            raise InputError(
                f"images: expected {expected}, got shape {images.shape}; preprocessing.for_evaluation resizes"
            )
        if images.dtype == np.uint8:
            return images
        if not np.issubdtype(images.dtype, np.floating):
            raise InputError(f"images: expected uint8, or floating in [0, 1]; got {images.dtype}")
        if not (images.min() >= 0 and images.max() <= 1):
            raise InputError(
                f"images: expected floating values in [0, 1] without NaN, got {images.min()} to {images.max()}; give "
                "8-bit images as uint8"
            )
        return images.astype(np.float32)


def probabilities_of(logits: Array) -> Array:
    """The probability of each class: logits [B, num_classes] -> float32, same shape."""
    return jax.nn.softmax(logits).astype(jnp.float32)


def _unit(images: Array) -> Array:
    return unit_images(images) if images.dtype == jnp.uint8 else images
