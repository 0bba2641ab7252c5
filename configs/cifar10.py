"""HAS-8-ResNet[b32-m2-d4] on CIFAR-10, resized to 224 pixels, by the release's recipe: Adam, batch 16.

Command:   hasnn train --config configs/cifar10.py --config.data.data_dir=/data --workdir runs/cifar10
Data:      hasnn prepare cifar10 --data_dir=/data, once.
"""

from hasnn_jax.config import default_config


def get_config():
    config = default_config()
    config.data.source = "tfds"
    config.data.name = "cifar10"
    config.data.image_size = 224
    config.data.flip = True
    return config
