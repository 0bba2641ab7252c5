"""HAS-8-ResNet[b32-m2-d4] on CIFAR-10 at its own 32 pixels: a 3x3 stem, batches of 128, shifts of 4 pixels.

Command:   hasnn train --config configs/cifar10_small.py --config.data.data_dir=/data --workdir runs/cifar10_small
Data:      as for `cifar10.py`.
Not the paper's setting, which resizes to 224 pixels; a fiftieth of its arithmetic.
"""

from configs import cifar10


def get_config():
    return small(cifar10.get_config())


def small(config):
    config.batch_size = 128
    config.model.stem = "small"
    config.data.image_size = 32
    config.data.shift = 4
    return config
