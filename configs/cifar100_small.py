"""HAS-8-ResNet[b32-m2-d4] on CIFAR-100 at its own 32 pixels: the setting of `cifar10_small.py`.

Command:   hasnn train --config configs/cifar100_small.py --config.data.data_dir=/data --workdir runs/cifar100_small
Data:      as for `cifar100.py`.
"""

from configs import cifar100
from configs.cifar10_small import small


def get_config():
    return small(cifar100.get_config())
