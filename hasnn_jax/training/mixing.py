"""Mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899): images that are mixed from two, with the labels of both.

A step draws once, from the seed and its number, how all of its images are mixed. An image's partner is the one before
it in its group of consecutive examples; the first one's is the last. With the whole batch as one group this is what
torchvision's `v2.MixUp` and `v2.CutMix` do. In training, the groups are those that share batch statistics: so the
result does not depend on the devices, and where each group is on one device, no image is sent to another.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

_STREAM = 0x6D6978  # tells these random numbers apart from others of the same seed; any number would do


class Mix(NamedTuple):
    """How the images of a step are mixed. All scalars but the box.

    Attributes:
      share: float32, 0..1: of the image's own label in the target; the rest is the partner's.
      weight: float32, 0..1: of the image's own pixels outside the box; the rest is the partner's.
      box: int32 [4]: top, left, bottom, right. Inside, all pixels are the partner's. Empty where bottom <= top.
    """

    share: Array
    weight: Array
    box: Array


def draw_mix(
    step: Array, height: int, width: int, *, seed: int, mixup: float | None = None, cutmix: float | None = None
) -> Mix:
    """The mix of a step, a function of seed and step.

    Args:
      step: the number of the batch, int32 scalar.
      height, width: of the images, in pixels.
      seed: of the run, 0..2**32 - 1.
      mixup: alpha > 0: blends images, with a share from Beta(alpha, alpha). None: no mixup.
      cutmix: alpha > 0: replaces a rectangle, with a share from Beta(alpha, alpha). None: no cutmix. Where both are
        given, each step draws one of them evenly.

    Raises:
      ValueError: both are None.
    """
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), _STREAM), step)
    which, of_share, of_place = jax.random.split(key, 3)
    mixes = []
    if mixup is not None:
        mixes.append(mixup_of(_draw_share(of_share, mixup)))
    if cutmix is not None:
        centre = jax.random.randint(of_place, (2,), 0, jnp.array([height, width], jnp.int32), jnp.int32)
        mixes.append(cutmix_of(_draw_share(of_share, cutmix), centre, height, width))
    if not mixes:
        raise ValueError("expected mixup, cutmix or both; got neither")
    if len(mixes) == 1:
        return mixes[0]
    first = jax.random.bernoulli(which)
    return Mix(*(jnp.where(first, a, b) for a, b in zip(*mixes, strict=True)))


def _draw_share(key: Array, alpha: float) -> Array:
    """From Beta(alpha, alpha); Beta(1, 1) is uniform and needs no loop."""
    if alpha == 1:
        return jax.random.uniform(key, dtype=jnp.float32)
    return jax.random.beta(key, alpha, alpha, dtype=jnp.float32)


def mixup_of(share: Array) -> Mix:
    """The mix that blends images and labels alike; `share` is 0..1."""
    share = jnp.asarray(share, jnp.float32)
    return Mix(share, share, jnp.zeros(4, jnp.int32))


def cutmix_of(share: Array, centre: Array, height: int, width: int) -> Mix:
    """The mix that replaces a rectangle of about 1 - share of the area.

    Its sides are sqrt(1 - share) times the image's, rounded down to an even number of pixels. What of it lies outside
    the image is cut off, and the labels' shares are those of the pixels that are left.

    Args:
      share: 0..1, float32.
      centre: of the rectangle, int32 [2]: row and column.
      height, width: of the images, in pixels.
    """
    size = jnp.array([height, width], jnp.int32)
    half = (0.5 * jnp.sqrt(1 - jnp.asarray(share, jnp.float32)) * size.astype(jnp.float32)).astype(jnp.int32)
    start, stop = jnp.maximum(centre - half, 0), jnp.minimum(centre + half, size)
    replaced = jnp.prod(stop - start).astype(jnp.float32) / (height * width)
    return Mix(1 - replaced, jnp.ones((), jnp.float32), jnp.concatenate([start, stop]))


def mix_images(images: Array, mix: Mix, group: int | None = None) -> Array:
    """Every image mixed with its partner.

    Args:
      images: float [B, H, W, C].
      mix: how; see `draw_mix`.
      group: how many consecutive examples find partners among themselves, a divisor of B; None: all B.

    Returns:
      float [B, H, W, C], in the range of the images. Pixels that are taken from one image are the same to the bit.
    """
    partners = of_partners(images, group)
    top, left, bottom, right = mix.box
    rows, columns = jnp.arange(images.shape[1])[:, None], jnp.arange(images.shape[2])[None, :]
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    weight = mix.weight.astype(images.dtype)
    return jnp.where(inside[None, :, :, None], partners, weight * images + (1 - weight) * partners)


def mix_labels(labels: Array, mix: Mix, classes: int, group: int | None = None) -> tuple[Array, Array]:
    """Soft targets for mixed images.

    Args:
      labels: int32 [B], 0..classes - 1.
      mix: as for the images.
      classes: the number N of classes.
      group: as for the images.

    Returns:
      (targets, float32 [B, N], each summing to 1; the label with the greater share, the own one of equals, int32 [B]).
    """
    partners = of_partners(labels, group)
    own, other = (jax.nn.one_hot(which, classes, dtype=jnp.float32) for which in (labels, partners))
    return mix.share * own + (1 - mix.share) * other, jnp.where(mix.share >= 0.5, labels, partners)


def of_partners(values: Array, group: int | None = None) -> Array:
    """[B, ...] -> the same of each example's partner, the one before it in its group (None: one group of all B)."""
    grouped = values.reshape((-1, group or values.shape[0], *values.shape[1:]))
    return jnp.roll(grouped, 1, axis=1).reshape(values.shape)
