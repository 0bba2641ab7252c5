"""Data sets of TensorFlow Datasets (TFDS), prepared as ArrayRecord files; they are read without TensorFlow."""

import os
import re
from typing import Any

import numpy as np
from etils import epath

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.images import UnreadableImageError
from hasnn_jax.data.sources import Source, Split
from hasnn_jax.data.tfds_import import import_tfds

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TEST_SPLITS = ("test", "validation")
_MANUAL = {
    "imagenet2012": "put ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar into {data_dir}/downloads/manual, then ",
}


class TfdsSplit:
    """One split of a TFDS data set; images are the bytes that were stored."""

    def __init__(self, records: Any, name: str):
        self._records, self._name = records, name

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: Any) -> dict[str, Any]:
        name = f"{self._name}, record {int(index)}"
        try:
            record = self._records[int(index)]
        except Exception as error:  # the reader raises many kinds of errors for a damaged or missing file
            raise UnreadableImageError(f"{name}: cannot be read ({error}); prepare the data set again") from None
        return {"image": record["image"], "label": np.int32(record["label"]), "name": name}


def newest_version(folder: str | os.PathLike[str]) -> epath.Path | None:
    """The folder of a data set's newest complete version; None if there is none."""
    complete = epath.Path(folder).glob("*/dataset_info.json")
    versions = [file.parent for file in complete if _VERSION.fullmatch(file.parent.name)]
    return max(versions, key=lambda version: [int(part) for part in version.name.split(".")], default=None)


def open_tfds(name: str, data_dir: str) -> Source:
    """Opens the newest prepared version of a TFDS image-classification data set.

    Args:
      name: the TFDS name, for example "cifar10", with "/config" if it has one.
      data_dir: the folder that TFDS prepared it in.

    Raises:
      InputError: it is not there (the message has the command that prepares it), tensorflow-datasets is not installed,
        or it has no images, no class labels, or no test split.
    """
    root = epath.Path(data_dir).expanduser()
    newest = newest_version(root / name)
    if newest is None:
        if unfinished := sorted(str(folder) for folder in (root / name).glob("*incomplete*")):
            raise InputError(f"{unfinished[0]}: only partly prepared; run the command that prepares it again")
        first = _MANUAL.get(name, "").format(data_dir=root)
        raise InputError(
            f"{name}: no prepared data in {root / name}; to get it, {first}run: "
            f"hasnn prepare {name} --data_dir={root} (or name another folder with --config.data.data_dir)"
        )
    tfds = import_tfds(f"{name}: reading it")
    builder = tfds.builder_from_directory(newest)
    if not {"image", "label"} <= set(builder.info.features):
        raise InputError(f"{name}: expected the features 'image' and 'label', got {sorted(builder.info.features)}")
    test = next((split for split in _TEST_SPLITS if split in builder.info.splits), None)
    if test is None or "train" not in builder.info.splits:
        raise InputError(f"{name}: expected a train and a test split, got {sorted(builder.info.splits)}")
    label = builder.info.features["label"]
    if not isinstance(label, tfds.features.ClassLabel):
        raise InputError(f"{name}: expected class names in the feature 'label', got {label}")
    try:
        encoded = {"image": tfds.decode.SkipDecoding()}
        splits: list[Split] = [
            TfdsSplit(builder.as_data_source(split, decoders=encoded), f"{newest}, {split}")
            for split in ("train", test)
        ]
    except NotImplementedError:
        stored = builder.info.file_format.value
        raise InputError(
            f"{name}: {newest} holds {stored} files, which cannot be read in any order; run: "
            f"tfds build {name} --data_dir={root} --file_format=array_record --overwrite"
        ) from None
    return Source(name, tuple(label.names), splits[0], splits[1], split_names=("train", test))
