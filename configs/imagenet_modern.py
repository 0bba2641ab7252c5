"""HAS-8-ResNet[b32-m2-d4] on ImageNet-1k by a modern recipe: for accuracy, not for the paper's numbers.

Command:   hasnn train --config configs/imagenet_modern.py --config.data.data_dir=/data --workdir runs/imagenet_modern
Data:      as for `imagenet.py`.
As `cifar10_modern.py`, with random resized crops, a batch of 1024, and 300 epochs. Batch statistics are taken over 16
images, whatever the number of devices. Not yet run.
"""

from configs import imagenet
from configs.cifar10_modern import modern


def get_config():
    config = modern(imagenet.get_config())
    config.epochs = 300
    config.batch_size = 1024
    config.model.statistics_group = 16
    config.model.dtype = "bfloat16"
    config.data.resize_shorter = 256
    config.data.crop_scale = 0.08
    return config
