"""Single hybrid blocks of every kind that lays images abreast, so narrow that two and more of them fit."""

import functools

from flax import linen as nn

from hasnn_jax.models.layers import identity
from hasnn_jax.models.pooling import average_pool, max_pool
from hasnn_jax.models.resnet import ResidualBody, StemBody, block_convs
from hasnn_jax.models.vgg import ConvBody


def stem(layers):
    """Of a ResNet, with stride 2 and pooling."""
    body = functools.partial(StemBody, kind="imagenet")
    return layers.hybrid(
        ann=functools.partial(body, activation=nn.relu, pool=max_pool),
        snn=functools.partial(body, activation=layers.spiking.neuron, pool=average_pool),
        channels=64,
        name="stem",
    )


def residual(layers, kind, width, stride=1):
    """Of a ResNet."""
    fire = layers.spiking.neuron
    body = functools.partial(ResidualBody, convs=block_convs(kind, width, 64, stride))
    return layers.hybrid(
        ann=functools.partial(body, activation=nn.relu, branch_activation=identity, sum_activation=nn.relu),
        snn=functools.partial(body, activation=fire, branch_activation=fire, sum_activation=identity),
        channels=width,
        strided=stride > 1,
        name="block",
    )


def vgg(layers):
    """Of a VGG."""
    body = functools.partial(ConvBody, features=12, norm_momentum=0.1)
    return layers.hybrid(
        ann=functools.partial(body, activation=nn.relu),
        snn=functools.partial(body, activation=layers.spiking.neuron),
        channels=12,
        name="block",
    )


BLOCKS = {
    "stem": stem,
    "basic": lambda layers: residual(layers, "basic", 16, stride=2),  # with a projected shortcut
    "identity": lambda layers: residual(layers, "basic", 6),
    "bottleneck": lambda layers: residual(layers, "bottleneck", 8),
    "vgg": vgg,
}
