"""HAS-8-ResNet[b32-m2-d4] on Caltech-101 without its background class: the recipe of `cifar10.py`.

Command:   python train.py --config configs/caltech101.py --workdir runs/caltech101 \
               --config.data.data_dir=/data/101_ObjectCategories
Data:      the class folders as their authors ship them; a seeded fifth of each class is the test split.
"""

from configs import cifar10


def get_config():
    config = cifar10.get_config()
    config.data.source = "folder"
    config.data.name = "caltech101"
    config.data.data_dir = "~/data/101_ObjectCategories"
    config.data.exclude = ("BACKGROUND_Google",)
    config.data.how_to_get = (
        "download Caltech-101 (https://data.caltech.edu/records/mzrjq-6wc02), unpack 101_ObjectCategories.tar.gz, "
        "and name the folder with --config.data.data_dir=.../101_ObjectCategories"
    )
    config.data.num_classes = 101
    return config
