"""HAS-8-ResNet[b32-m2-d4] on ImageNet-1k by the release's recipe: SGD, batch 16, 100 epochs.

Command:   hasnn train --config configs/imagenet.py --config.data.data_dir=/data --workdir runs/imagenet
Data:      ImageNet-2012: hasnn prepare imagenet2012 --data_dir=/data, from its two tars.
Target:    52.30 % test accuracy in the paper, for the model that its table calls SAME; not yet run here.
"""

from hasnn_jax.config import default_config


def get_config():
    config = default_config()
    config.data.source = "tfds"
    config.data.name = "imagenet2012"
    config.data.num_classes = 1000
    config.data.image_size = 224
    config.data.flip = True
    config.data.workers = 8
    config.optim.name = "sgd"
    config.optim.learning_rate = 0.1 * 16 / 256
    config.optim.weight_decay = 5e-4
    config.schedule.name = "warmup_cosine"
    return config
