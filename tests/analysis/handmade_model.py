"""Models so small that their spikes and gradients can be worked out by hand, and a network that compiles quickly."""

import jax.numpy as jnp
from flax import linen as nn

from hasnn_jax.models import HybridResNet, LayerFactory
from hasnn_jax.models.layers import Conv, Dense, Encoder


class OneLayer(nn.Module):
    """Encoder, 1x1 convolution, neurons: the neurons' spikes are the planes if the kernel is 1."""

    layers: LayerFactory = LayerFactory()

    @nn.compact
    def __call__(self, images, train=False):
        planes = Encoder(self.layers.spiking.coding, name="encoder")(images, train)
        return self.layers.spiking.neuron(Conv(1, 1, name="conv")(planes))


class OneEncoder(nn.Module):
    """Encoder, linear layer, mean over the time steps and positions: logits [B, 3]."""

    layers: LayerFactory = LayerFactory()
    num_classes: int = 3

    @nn.compact
    def __call__(self, images, train=False):
        x = images[:, 0, 0] if self.is_vector(images) else images
        planes = Encoder(self.layers.spiking.coding, name="encoder")(x, train)
        currents = Dense(self.num_classes, name="dense")(planes)
        weights = jnp.arange(1.0, 1 + len(planes))  # the steps differ, so that a plane taken for another is noticed
        return jnp.tensordot(weights, jnp.tanh(currents), axes=1).reshape(len(images), -1, self.num_classes).mean(1)

    @staticmethod
    def is_vector(images):
        return images.shape[1:3] == (1, 1)


def small_resnet(paths=("ann", "snn")):
    """The small stem and one basic block with a projection."""
    return HybridResNet(num_classes=5, stage_sizes=(1,), base_width=2, stem="small", layers=LayerFactory(paths=paths))


RUNNING = {"encoder": {"low": jnp.float32(0), "high": jnp.float32(1)}}  # values in [0, 1] are kept
ONE = {"params": {"conv": {"kernel": jnp.ones((1, 1, 1, 1))}}, "batch_stats": RUNNING}
