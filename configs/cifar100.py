"""HAS-8-ResNet[b32-m2-d4] on CIFAR-100: the recipe of `cifar10.py`.

Command:   hasnn train --config configs/cifar100.py --config.data.data_dir=/data --workdir runs/cifar100
Data:      hasnn prepare cifar100 --data_dir=/data, once.
Target:    79.20 % test accuracy in the paper; not yet run here.
"""

from configs import cifar10


def get_config():
    config = cifar10.get_config()
    config.data.name = "cifar100"
    config.data.num_classes = 100
    return config
