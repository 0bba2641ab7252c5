"""HAS-8-VGG[b, m, d]: a chain of 1 + d hybrid convolution blocks and a hybrid fully connected head."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models.hybrid import Hybrid, Paths
from hasnn_jax.models.images import require_images
from hasnn_jax.models.layers import average_pool, global_average_pool, spiking_activation

Activation = Callable[[Array], Array]

HEAD_WIDTHS = (1024, 512)
ANN_NORM_MOMENTUM = 0.1
SNN_NORM_MOMENTUM = 0.1**0.5  # the release's, in this family alone
leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.01)


class ConvBody(nn.Module):
    """conv 3x3 - norm - activation - 2x2 average pool: [..., H, W, C] -> [..., H // 2, W // 2, features]."""

    paths: Paths
    features: int
    activation: Activation
    norm_momentum: float

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = self.paths.conv(self.features, 3, name="conv")(x)
        x = self.activation(self.paths.norm(name="norm", momentum=self.norm_momentum)(x, train))
        return average_pool(x, 2, 2)


class HeadBody(nn.Module):
    """Three linear layers, each with its activation, the last one too: [..., C] -> [..., num_classes]."""

    paths: Paths
    num_classes: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for i, features in enumerate((*HEAD_WIDTHS, self.num_classes), start=1):
            x = self.activation(self.paths.dense(features, name=f"dense{i}")(x))
        return x


class HybridVGG(nn.Module):
    """HAS-8-VGG[b, m, d]: images [B, H, W, C] in [0, 1] -> logits [B, num_classes], float32 or wider.

    Block i of 0..d has C b m^i channels, C being the images' channels, and halves height and width.

    Attributes:
      num_classes: number of logits.
      base_width, multiplier, depth: b, m and d.
      paths: active paths, spiking spec, statistics group, dtype.
    """

    num_classes: int
    base_width: int = 16
    multiplier: int = 2
    depth: int = 4
    paths: Paths = Paths()

    output_layers = frozenset({f"dense{len(HEAD_WIDTHS) + 1}"})  # those whose shape depends on num_classes

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        require_images(self, images, smallest=2 ** (self.depth + 1))
        fire = spiking_activation(self.paths.spiking.neuron)
        x = images
        for i in range(self.depth + 1):
            width = images.shape[-1] * self.base_width * self.multiplier**i
            body = functools.partial(ConvBody, self.paths, width)
            x = Hybrid(
                self.paths,
                ann=functools.partial(body, leaky_relu, ANN_NORM_MOMENTUM),
                snn=functools.partial(body, fire, SNN_NORM_MOMENTUM),
                name=f"block{i + 1}",
            )(x, train)
        head = functools.partial(HeadBody, self.paths, self.num_classes)
        logits = Hybrid(
            self.paths,
            ann=functools.partial(head, leaky_relu),
            snn=functools.partial(head, fire),
            name="head",
        )(global_average_pool(x), train)
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def input_channels(self) -> int:
        """Channels of the images that this module's parameters were made for."""
        path = self.paths.active[0]
        return jax.tree.leaves(self.variables["params"]["block1"][path]["conv"])[0].shape[2]
