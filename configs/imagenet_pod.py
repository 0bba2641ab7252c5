"""The recipe of `imagenet.py` on a TPU pod slice of 256 chips: 16 images a chip, each chip a batch of the release's.

Command:   hasnn plan --config configs/imagenet_pod.py --topology v5e:16x16    # before paying for it
           python train.py --config configs/imagenet_pod.py --config.data.data_dir=DIR --workdir DIR
Hardware:  v5e:16x16; for a slice of another size, --config.batch_size=(16 times its chips)
Data:      as for `imagenet.py`.
Not yet run. The learning rate grows with the batch (linear scaling), from a warm-up of 5 epochs; batch statistics are
those of 16 images, so that what a layer sees does not depend on the number of chips.
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
