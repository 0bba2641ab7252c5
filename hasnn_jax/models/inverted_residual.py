"""Inverted-residual blocks, and the hybrid network made of them: MobileNetV2 and EfficientNet with other numbers."""

import functools
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models.hybrid import LayerFactory
from hasnn_jax.models.image_checks import require_images
from hasnn_jax.models.layers import Activation, identity
from hasnn_jax.models.pooling import global_average_pool
from hasnn_jax.models.resnet import StemKind

STEM_WIDTH, LAST_WIDTH = 32, 1280  # features of the first and the last convolution at width 1
SQUEEZE = 4  # channels of a block's input, divided by the width of its squeeze


class Stage(NamedTuple):
    """Blocks of equal width. The first has the stride, the others have stride 1."""

    expansion: int  # channels of a block's depthwise convolution, divided by those of its input
    kernel: int  # of the depthwise convolutions
    stride: int
    features: int
    blocks: int


def rounded_width(features: int, width: float) -> int:
    """The features times the width, rounded to the nearest multiple of 8 that is at least nine tenths of it."""
    scaled = features * width
    nearest = max(8, int(scaled + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * scaled else nearest + 8


def strides(stages: tuple[Stage, ...], stem: StemKind) -> tuple[int, ...]:
    """The strides of the stem and of every stage: those of the paper, or the first two that are 2 made 1 if small."""
    published = (2, *(stage.stride for stage in stages))
    if stem == "imagenet":
        return published
    first, second = [i for i, stride in enumerate(published) if stride == 2][:2]
    return tuple(1 if i in (first, second) else stride for i, stride in enumerate(published))


class ConvNormBody(nn.Module):
    """conv - norm - activation: [..., H, W, C] -> [..., H / stride, W / stride, features]."""

    layers: LayerFactory
    features: int
    kernel: int
    stride: int
    activation: Activation

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Any:
        deferral = self.layers.defers(x, self.features, self.kernel, self.stride, self.activation, train)
        conv = self.layers.conv(self.features, self.kernel, self.stride, packs=True, deferral=deferral, name="conv")
        x = conv(x)
        return self.layers.norm(self.activation, name="norm")(x, train)


class SqueezeExcite(nn.Module):
    """Lets every channel through to an extent that is computed from the means of all channels: [..., H, W, C] -> same.

    mean over space - dense - activation - dense - gate, times the input; arXiv 1709.01507. In the spiking path each
    time step has its own means, and the gate its own spikes.

    Attributes:
      layers: creates the linear layers.
      width: of the first linear layer.
      activation: after the first linear layer.
      gate: after the second: what the channels are multiplied by.
    """

    layers: LayerFactory
    width: int
    activation: Activation
    gate: Activation

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = self.layers.dense(self.width, name="squeeze")(global_average_pool(x))
        gate = self.gate(self.layers.dense(x.shape[-1], name="excite")(self.activation(y)))
        return x * gate[..., None, None, :].astype(x.dtype)


def veto(neuron: Activation) -> Activation:
    """A gate of spikes: currents -> 1 where the neuron is silent and 0 where it fires.

    It stands for the sigmoid of squeeze-and-excitation. Its product with spikes is a logical AND NOT, so they stay 0
    and 1. A gate that is open where its neuron fires would be closed nearly everywhere when training begins: means of
    sparse spikes seldom drive a neuron to its threshold, and what does not pass a gate has no gradient either. With
    initial weights, the gates' neurons of a network of width 0.25 fired at 7 to 16 % of the steps on digits.
    """

    def gate(currents: Array) -> Array:
        return 1 - neuron(currents)

    return gate


class InvertedResidualBody(nn.Module):
    """Widens by 1x1, convolves each channel, narrows by 1x1, and adds the input if the shape is still the same.

    The ANN path is the published block: its narrow end is linear. The spiking path has neurons there, because a decoder
    reads spikes. As in `ResidualBody`, spikes of branch and input are added, so that a value may be 2.

    Attributes:
      layers: creates convolutions, norms and linear layers.
      stage: expansion, kernel and features; with an expansion of 1 nothing is widened.
      stride: of the depthwise convolution.
      activation: after the first two convolutions, and inside of the squeeze.
      narrow_activation: after the last convolution.
      gate: of squeeze-and-excitation, which follows the depthwise convolution; None for a block without it.
    """

    layers: LayerFactory
    stage: Stage
    stride: int
    activation: Activation
    narrow_activation: Activation
    gate: Activation | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        wide = x.shape[-1] * self.stage.expansion
        y = x
        if self.stage.expansion != 1:
            # The only one whose spikes are few enough to be kept as bytes: unpacking the wide ones moves 3 to 6 % more.
            y = self.layers.conv(wide, 1, packs=True, name="expand_conv")(y)
            y = self.layers.norm(self.activation, name="expand_norm")(y, train)
        y = self.layers.conv(wide, self.stage.kernel, self.stride, groups=wide, name="depthwise_conv")(y)
        y = self.layers.norm(self.activation, name="depthwise_norm")(y, train)
        if self.gate is not None:
            squeezed = max(1, x.shape[-1] // SQUEEZE)
            y = SqueezeExcite(self.layers, squeezed, self.activation, self.gate, name="squeeze_excite")(y)
        y = self.layers.conv(self.stage.features, 1, name="narrow_conv")(y)
        y = self.layers.norm(self.narrow_activation, name="narrow_norm")(y, train)
        return x + y if self.stride == 1 and x.shape[-1] == self.stage.features else y


class InvertedResidualNet(nn.Module):
    """Images [B, H, W, C] in [0, 1] -> logits [B, num_classes], float32 or wider. The base of the two families.

    Every convolution stage is a hybrid block: the stem (3x3), every inverted residual, and the last convolution (1x1).
    Global average pooling and a linear layer follow. Dropout and stochastic depth, which are part of the published
    training recipes, are left out.

    Attributes:
      num_classes: number of logits.
      width: multiplies the features of every convolution, which are then rounded; see `rounded_width`.
      stages: of inverted residuals, with their features at width 1.
      stem: "imagenet", or "small" for images of 64 pixels or less; see `strides`.
      layers: paths, spiking spec, statistics group and dtype of every block.
      activation: of the ANN paths; the spiking paths have the neuron in its place.
      gate: of squeeze-and-excitation in the ANN paths, in whose place the spiking paths have a `veto`; None for blocks
        without it. Like `activation`, it belongs to the family.
    """

    num_classes: int
    width: float = 1.0
    stages: tuple[Stage, ...] = ()
    stem: StemKind = "imagenet"
    layers: LayerFactory = LayerFactory()

    activation: ClassVar[Any]
    gate: ClassVar[Any] = None
    output_layers = frozenset({"classifier"})  # the layers whose shape depends on num_classes

    @nn.compact
    def __call__(self, images: Array, train: bool = False) -> Array:
        require_images(self, images)
        ann_activation, fire = type(self).activation, self.layers.spiking.neuron
        ann_gate, snn_gate = (None, None) if self.gate is None else (type(self).gate, veto(fire))
        stem_stride, *stage_strides = strides(self.stages, self.stem)

        def convolution(x, features, kernel, stride, name):
            body = functools.partial(ConvNormBody, features=features, kernel=kernel, stride=stride)
            ann, snn = (functools.partial(body, activation=activation) for activation in (ann_activation, fire))
            return self.layers.hybrid(ann=ann, snn=snn, name=name)(x, train)

        x = convolution(images, rounded_width(STEM_WIDTH, self.width), 3, stem_stride, "stem")
        for i, (stage, stage_stride) in enumerate(zip(self.stages, stage_strides, strict=True), start=1):
            stage = stage._replace(features=rounded_width(stage.features, self.width))
            for block in range(stage.blocks):
                stride = stage_stride if block == 0 else 1
                body = functools.partial(InvertedResidualBody, stage=stage, stride=stride)
                x = self.layers.hybrid(
                    ann=functools.partial(body, activation=ann_activation, narrow_activation=identity, gate=ann_gate),
                    snn=functools.partial(body, activation=fire, narrow_activation=fire, gate=snn_gate),
                    name=f"stage{i}_block{block + 1}",
                )(x, train)
        x = convolution(x, self.last_width(), 1, 1, "last")
        logits = self.layers.dense(self.num_classes, name="classifier")(global_average_pool(x))
        return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))

    def last_width(self) -> int:
        """The features of the last convolution."""
        return rounded_width(LAST_WIDTH, self.width)

    def input_channels(self) -> int:
        """The number of image channels that the parameters of this module were initialised for."""
        path = self.layers.paths[0]
        return jax.tree.leaves(self.variables["params"]["stem"][path]["conv"])[0].shape[2]
