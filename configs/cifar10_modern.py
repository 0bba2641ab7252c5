"""HAS-8-ResNet[b32-m2-d4] on CIFAR-10 at 32 pixels, by a modern recipe: for accuracy, not for the paper's numbers.

Command:   hasnn train --config configs/cifar10_modern.py --config.data.data_dir=/data --workdir runs/cifar10_modern
Data:      as for `cifar10.py`.
AdamW with a cosine schedule, RandAugment, mixup or cutmix, label smoothing, averaged weights, and the recommended spec.
Not yet trained to the end.
"""

from configs import cifar10_small


def get_config():
    return modern(cifar10_small.get_config())


def modern(config):
    config.epochs = 200
    config.model.spiking.spec = "as_recommended"
    config.data.randaugment = 2
    config.optim.name = "adamw"
    config.optim.learning_rate = 2e-3
    config.optim.weight_decay = 0.05
    config.optim.clip_norm = 5.0
    config.optim.label_smoothing = 0.1
    config.optim.mixup = 0.2
    config.optim.cutmix = 1.0
    config.optim.average_decay = 0.9998
    config.schedule.name = "warmup_cosine"
    config.schedule.warmup_epochs = 5
    config.schedule.per_epoch = False
    return config
