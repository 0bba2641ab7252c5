"""HAS-8-ResNet[b32-m2-d4] on Caltech-101 without its background class: the recipe of `cifar10.py`.

Command:   hasnn train --config configs/caltech101.py --workdir runs/caltech101 \
               --config.data.data_dir=/data/101_ObjectCategories
Data:      the class folders as their authors ship them; a seeded fifth of each class is the test split.
"""

from configs import cifar10


def get_config():
    config = with_class_folders(
        "caltech101", "Caltech-101", 101, "https://data.caltech.edu/records/mzrjq-6wc02", "tar.gz"
    )
    config.data.exclude = ("BACKGROUND_Google",)
    return config


def with_class_folders(name, title, num_classes, url, suffix):
    folder = f"{name.removeprefix('caltech')}_ObjectCategories"
    config = cifar10.get_config()
    config.data.source = "folder"
    config.data.name = name
    config.data.data_dir = f"~/data/{folder}"
    config.data.how_to_get = (
        f"download {title} ({url}), unpack {folder}.{suffix}, "
        f"and name the folder with --config.data.data_dir=.../{folder}"
    )
    config.data.num_classes = num_classes
    return config
