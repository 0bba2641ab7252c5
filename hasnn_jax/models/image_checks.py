"""Checks of the images that a model receives, with one-line error messages."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.experimental import checkify

from hasnn_jax.common.errors import InputError

# Whether the call is wrapped by `checked`. In other calls the check is not traced at all: checkify numbers its checks
# consecutively within a process, and a program with different numbers would miss the compilation cache. A user context
# is part of JAX's tracing cache key, so that a function is traced again if this value differs.
_values_are_checked = jax.make_user_context(default_value=False)


def require_images(model: nn.Module, images: Array, smallest: int = 1) -> None:
    """Raises unless `images` are float [B, H, W, C] with as many channels as the model was initialised with.

    Shapes and dtypes are checked while tracing and cost nothing at run time. Values are checked only in a
    call wrapped by `checked`.

    Args:
      model: the model that receives the images; it has a method `input_channels`.
      images: the array to check; the values should be in [0, 1].
      smallest: the smallest height and width that the model accepts.

    Raises:
      InputError: the shape is wrong, or values that are checked are NaN or outside [0, 1].
      TypeError: the dtype is not floating.
    """
    if images.ndim != 4:
        hint = "; for one image pass images[None]" if images.ndim == 3 else ""
        raise InputError(f"images: expected [batch, height, width, channels], got shape {tuple(images.shape)}{hint}")
    if images.size == 0:
        raise InputError(f"images: expected at least one image of at least one pixel, got shape {tuple(images.shape)}")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(
            f"images: expected a floating dtype with values in [0, 1], got {images.dtype}; "
            "for 8-bit images pass images.astype('float32') / 255"
        )
    if min(images.shape[1:3]) < smallest:
        raise InputError(
            f"images: {type(model).__name__} halves its input {smallest.bit_length() - 1} times and needs at least "
            f"{smallest}x{smallest} pixels, got {images.shape[1]}x{images.shape[2]}; resize them or lower the depth"
        )
    if not model.is_initializing():
        expected = model.input_channels()
        if images.shape[3] != expected:
            raise InputError(
                f"images: this model was initialised for {expected} channels (last axis), got {images.shape[3]} in "
                f"shape {tuple(images.shape)}; is the array [batch, channels, height, width]?"
            )
    if not _values_are_checked.value:
        return
    low, high = jnp.min(images), jnp.max(images)
    checkify.check(
        (low >= 0) & (high <= 1),
        "images: expected values in [0, 1], got a range of {low} to {high}; divide 8-bit images by 255, "
        "and look for NaN in the input",
        low=low,
        high=high,
    )


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function that calls a model, so that it raises InputError for image values outside [0, 1] and NaN.

        logits = hasnn_jax.checked(model.apply)(variables, images, train=False)

    Unwrapped calls skip this check and its cost; training does so too.
    """

    def call(*args, **kwargs):
        with _values_are_checked(True):
            error, out = checkify.checkify(lambda: function(*args, **kwargs), errors=checkify.user_checks)()
        if message := error.get():
            raise InputError(message.removesuffix(" (`check` failed)"))
        return out

    return call
