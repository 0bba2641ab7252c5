"""HAS-8-VGG[b, m, d]: a chain of 1 + d hybrid convolution blocks and a hybrid fully connected head."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models.deferred_convolution import pooled
from hasnn_jax.models.hybrid import LayerFactory
from hasnn_jax.models.image_checks import require_images
from hasnn_jax.models.layers import Activation
from hasnn_jax.models.pooling import average_pool, global_average_pool

HEAD_WIDTHS = (1024, 512)
ANN_NORM_MOMENTUM = 0.1
SNN_NORM_MOMENTUM = 0.1**0.5  # as in the release, which uses it in this family only
leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.01)


class ConvBody(nn.Module):
    """conv 3x3 - norm - activation - 2x2 average pool: [..., H, W, C] -> [..., H // 2, W // 2, features]."""

    layers: LayerFactory
    features: int
    activation: Activation
    norm_momentum: float

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Any:
        deferral = self.layers.defers(x, self.features, 3, 1, self.activation, train)
        x = self.layers.conv(self.features, 3, packs=True, deferral=deferral, name="conv")(x)
        x = self.layers.norm(self.activation, name="norm", momentum=self.norm_momentum)(x, train)
        return pooled(x, functools.partial(average_pool, window=2, stride=2))


class HeadBody(nn.Module):
    """Three linear layers, each followed by an activation, including the last: [..., C] -> [..., num_classes]."""

    layers: LayerFactory
    num_classes: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for i, features in enumerate((*HEAD_WIDTHS, self.num_classes), start=1):
            x = self.activation(self.layers.dense(features, name=f"dense{i}")(x))
        return x


class HybridVGG(nn.Module):
    """HAS-8-VGG[b, m, d]: images [B, H, W, C] in [0, 1] -> logits [B, num_classes], float32 or wider.

    Block i in 0..d has C b m^i channels, where C is the number of image channels, and halves height and width.

    Attributes:
      num_classes: number of logits.
      base_width, multiplier, depth: b, m and d.
      layers: paths, spiking spec, statistics group and dtype of every block.
    """

    num_classes: int
    base_width: int = 16
    multiplier: int = 2
    depth: int = 4
    layers: LayerFactory = LayerFactory()

    output_layers = frozenset({f"dense{len(HEAD_WIDTHS) + 1}"})  # the layers whose shape depends on num_classes

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        require_images(self, images, smallest=2 ** (self.depth + 1))
        fire = self.layers.spiking.neuron
        x = images
        for i in range(self.depth + 1):
            width = images.shape[-1] * self.base_width * self.multiplier**i
            body = functools.partial(ConvBody, features=width)
            x = self.layers.hybrid(
                ann=functools.partial(body, activation=leaky_relu, norm_momentum=ANN_NORM_MOMENTUM),
                snn=functools.partial(body, activation=fire, norm_momentum=SNN_NORM_MOMENTUM),
                channels=width,
                name=f"block{i + 1}",
            )(x, train)
        head = functools.partial(HeadBody, num_classes=self.num_classes)
        logits = self.layers.hybrid(
            ann=functools.partial(head, activation=leaky_relu),
            snn=functools.partial(head, activation=fire),
            name="head",
        )(global_average_pool(x), train)
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def input_channels(self) -> int:
        """The number of image channels that the parameters of this module were initialised for."""
        path = self.layers.paths[0]
        return jax.tree.leaves(self.variables["params"]["block1"][path]["conv"])[0].shape[2]
