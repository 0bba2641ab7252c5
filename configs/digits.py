"""A small HAS-8-ResNet on 1,797 handwritten digits of 8 x 8 pixels that come with the package.

Command:   hasnn train
Hardware:  two CPU cores, 122 to 130 s in five runs (AMD EPYC, jax 0.12.0.1, 2026-11-28)
Target:    98.5 % test accuracy. Measured: 98.89 %, the mean of five seeds (standard deviation 0.19 points). One of the
           359 test images is 0.3 %.
The spiking paths are those of `AS_RECOMMENDED`; the paper's are in `digits_as_described.py`.
"""

from hasnn_jax.config import default_config


def get_config():
    config = default_config()
    config.epochs = 18
    config.batch_size = 32
    config.model.name = "has8_resnet10_b16"
    config.model.stem = "small"
    config.model.spiking.spec = "as_recommended"
    config.data.shift = 1
    config.optim.learning_rate = 2e-3
    config.optim.weight_decay = 1e-4
    config.optim.clip_rms = 0.01  # far below most gradients, which vary much from step to step; see FIDELITY.md
    config.schedule.name = "warmup_cosine"
    config.schedule.warmup_epochs = 1
    config.schedule.warmup_start = 0.1
    config.schedule.per_epoch = False
    config.log_every_steps = 22
    config.eval_every_epochs = 2
    config.save_every_epochs = 3
    return config
