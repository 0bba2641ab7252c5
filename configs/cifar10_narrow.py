"""A narrow HAS-8-ResNet on CIFAR-10 at 32 pixels: for experiments on a CPU.

Command:   hasnn experiment recommended --config configs/cifar10_narrow.py --config.data.data_dir=/data
           hasnn train --config configs/cifar10_narrow.py --config.data.data_dir=/data --workdir runs/cifar10_narrow
Data:      as for `cifar10.py`.
One epoch, in which the network learns far less than it could; comparisons of variants are what it is for.
"""

from configs import cifar10


def get_config():
    config = cifar10.get_config()
    config.epochs = 1
    config.batch_size = 64
    config.model.name = "has8_resnet10_b16"
    config.data.image_size = 32
    config.data.shift = 4
    config.optim.name = "adamw"
    config.optim.learning_rate = 2e-3
    config.optim.weight_decay = 0.05
    config.schedule.name = "warmup_cosine"
    config.schedule.warmup_epochs = 0
    config.schedule.per_epoch = False
    return config
