"""HAS-8-ResNet: residual blocks that add an ANN path and a spiking path. The stages have widths b, 2b, 4b, 8b."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models.deferred_convolution import pooled
from hasnn_jax.models.hybrid import LayerFactory
from hasnn_jax.models.image_checks import require_images
from hasnn_jax.models.layers import Activation, identity
from hasnn_jax.models.pooling import average_pool, global_average_pool, max_pool

StemKind = Literal["imagenet", "small"]
BlockKind = Literal["basic", "bottleneck"]

STAGE_SIZES: dict[int, tuple[int, ...]] = {
    10: (1, 1, 1, 1),  # not in the paper; the smallest, for small images and tests
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
STEM_WIDTH = 64
EXPANSION = 4  # output width of a bottleneck block, divided by the width of its stage


class StemBody(nn.Module):
    """conv - norm - activation - pool: [..., H, W, C] -> [..., H / 4, W / 4, 64], or [..., H, W, 64] if small."""

    layers: LayerFactory
    kind: StemKind
    activation: Activation
    pool: Callable[..., Array]

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Any:
        kernel, stride = (7, 2) if self.kind == "imagenet" else (3, 1)
        deferral = self.layers.defers(x, STEM_WIDTH, kernel, stride, self.activation, train)
        x = self.layers.conv(STEM_WIDTH, kernel, stride, packs=True, deferral=deferral, name="conv")(x)
        x = self.layers.norm(self.activation, name="norm")(x, train)
        return pooled(x, functools.partial(self.pool, window=3, stride=2, padding=1)) if self.kind == "imagenet" else x


class ResidualBody(nn.Module):
    """A chain of conv - norm - activation, plus its input. The input is projected if the shape changes.

    The ANN path applies its activation to the sum. The spiking path applies it to both terms and adds the spikes.

    Attributes:
      layers: creates convolutions and norms.
      convs: (features, kernel, stride) of each convolution in the chain.
      activation: after every convolution except the last.
      branch_activation: after the last convolution and after the projection.
      sum_activation: after the addition.
    """

    layers: LayerFactory
    convs: tuple[tuple[int, int, int], ...]
    activation: Activation
    branch_activation: Activation
    sum_activation: Activation

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        features = self.convs[-1][0]
        stride = max(stride for _, _, stride in self.convs)
        branch = x
        for i, (width, kernel, conv_stride) in enumerate(self.convs, start=1):
            branch = self.layers.conv(width, kernel, conv_stride, packs=True, name=f"conv{i}")(branch)
            activation = self.activation if i < len(self.convs) else self.branch_activation
            branch = self.layers.norm(activation, name=f"norm{i}")(branch, train)
        shortcut = x
        if stride != 1 or self.layers.channels(x) != features:
            shortcut = self.layers.conv(features, 1, stride, packs=True, name="shortcut_conv")(x)
            shortcut = self.layers.norm(self.branch_activation, name="shortcut_norm")(shortcut, train)
        return self.sum_activation(branch + shortcut)


def block_convs(kind: BlockKind, width: int, base_width: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """(features, kernel, stride) of each convolution of a block in a stage of this width."""
    if kind == "basic":
        return ((width, 3, stride), (width, 3, 1))
    inner = int(width * base_width / 64)
    return ((inner, 1, 1), (inner, 3, stride), (EXPANSION * width, 1, 1))


class HybridResNet(nn.Module):
    """HAS-8-ResNet: images [B, H, W, C] in [0, 1] -> logits [B, num_classes], float32 or wider.

    Attributes:
      num_classes: number of logits.
      stage_sizes: blocks in each stage; the stages' strides are 1, 2, 2, 2 and their widths double.
      block: "basic" (depths 10, 18, 34) or "bottleneck" (50, 101, 152).
      base_width: width b of the first stage.
      stem: "imagenet" (7x7 stride 2, pool) or "small" (3x3 stride 1, no pool; for images of 64 pixels or less).
      layers: paths, spiking spec, statistics group and dtype of every block.
    """

    num_classes: int
    stage_sizes: tuple[int, ...] = STAGE_SIZES[18]
    block: BlockKind = "basic"
    base_width: int = 32
    stem: StemKind = "imagenet"
    layers: LayerFactory = LayerFactory()

    output_layers = frozenset({"classifier"})  # the layers whose shape depends on num_classes

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        require_images(self, images)
        fire = self.layers.spiking.neuron
        stem = functools.partial(StemBody, kind=self.stem)
        x = self.layers.hybrid(
            ann=functools.partial(stem, activation=nn.relu, pool=max_pool),
            snn=functools.partial(stem, activation=fire, pool=average_pool),
            channels=STEM_WIDTH,
            name="stem",
        )(images, train)
        for stage, blocks in enumerate(self.stage_sizes):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                convs = block_convs(self.block, self.base_width * 2**stage, self.base_width, stride)
                body = functools.partial(ResidualBody, convs=convs)
                x = self.layers.hybrid(
                    ann=functools.partial(body, activation=nn.relu, branch_activation=identity, sum_activation=nn.relu),
                    snn=functools.partial(body, activation=fire, branch_activation=fire, sum_activation=identity),
                    channels=convs[0][0],
                    strided=stride > 1,
                    name=f"stage{stage + 1}_block{block + 1}",
                )(x, train)
        logits = self.layers.dense(self.num_classes, name="classifier")(global_average_pool(x))
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def input_channels(self) -> int:
        """The number of image channels that the parameters of this module were initialised for."""
        path = self.layers.paths[0]
        return jax.tree.leaves(self.variables["params"]["stem"][path]["conv"])[0].shape[2]
