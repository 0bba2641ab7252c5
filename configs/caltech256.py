"""HAS-8-ResNet[b32-m2-d4] on Caltech-256, its clutter class included: as `caltech101.py`, with 257 classes.

Command:   hasnn train --config configs/caltech256.py --config.data.data_dir=/data/256_ObjectCategories
"""

from configs.caltech101 import with_class_folders


def get_config():
    return with_class_folders("caltech256", "Caltech-256", 257, "https://data.caltech.edu/records/nyy15-4j048", "tar")
