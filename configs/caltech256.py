"""HAS-8-ResNet[b32-m2-d4] on Caltech-256, its clutter class included: the recipe of `cifar10.py`.

Command:   python train.py --config configs/caltech256.py --workdir runs/caltech256 \
               --config.data.data_dir=/data/256_ObjectCategories
Data:      the class folders as their authors ship them; a seeded fifth of each class is the test split.
"""

from configs import caltech101


def get_config():
    config = caltech101.get_config()
    config.data.name = "caltech256"
    config.data.data_dir = "~/data/256_ObjectCategories"
    config.data.exclude = ()
    config.data.how_to_get = (
        "download Caltech-256 (https://data.caltech.edu/records/nyy15-4j048), unpack 256_ObjectCategories.tar, "
        "and name the folder with --config.data.data_dir=.../256_ObjectCategories"
    )
    config.data.num_classes = 257
    return config
