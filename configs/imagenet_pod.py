"""The recipe of `imagenet.py` on a TPU pod slice of 256 chips, each with 16 images, the release's batch.

Command:   hasnn plan --config configs/imagenet_pod.py --topology v5e:16x16    # before paying for it
           hasnn train --config configs/imagenet_pod.py --config.data.data_dir=DIR --workdir DIR
Hardware:  v5e:16x16; for a slice of another size, --config.batch_size=(16 times its chips)
Data:      as for `imagenet.py`.
Not yet run. The learning rate is scaled linearly with the batch, after a warm-up of 5 epochs. Batch statistics are
taken over 16 images, so that they do not depend on the number of chips.
"""

from configs import imagenet


def get_config():
    config = imagenet.get_config()
    config.batch_size = 4096
    config.model.statistics_group = 16
    config.model.dtype = "bfloat16"
    config.optim.learning_rate = 0.1 * 4096 / 256
    config.schedule.per_epoch = False
    config.log_every_steps = 20
    return config
