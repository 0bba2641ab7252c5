"""Makes data sets that can be read quickly in any order.

Class folders and ImageNet's two archives need no TensorFlow; the other data sets of TensorFlow Datasets do.
"""

import dataclasses
import difflib
import importlib.util
import os
import pathlib
import re
import sys
from collections.abc import Sequence

from hasnn_jax.common.console import say
from hasnn_jax.common.errors import InputError
from hasnn_jax.data.array_records import write_array_records
from hasnn_jax.data.folder_source import open_folder
from hasnn_jax.data.imagenet_tars import open_imagenet_tars
from hasnn_jax.data.shard_plan import load_class_counts
from hasnn_jax.data.sources import Report, Source, no_report
from hasnn_jax.data.tfds_import import import_tfds
from hasnn_jax.data.tfds_source import newest_version, open_tfds


@dataclasses.dataclass(frozen=True)
class PreparedDataset:
    """A data set that is ready for training with `config.data.source = "tfds"`.

    Attributes:
      name: the value for `config.data.name`.
      data_dir: the value for `config.data.data_dir`.
      folder: the folder of its files, `<data_dir>/<name>/<version>`.
      classes: the class names; a label is an index into them.
      counts: for "train" and "test" the number of images of each class.
    """

    name: str
    data_dir: pathlib.Path
    folder: pathlib.Path
    classes: tuple[str, ...]
    counts: dict[str, list[int]]


def prepare_dataset(
    name: str,
    data_dir: str | os.PathLike[str],
    folder: str | None = None,
    exclude: Sequence[str] = (),
    progress: Report = no_report,
) -> PreparedDataset:
    """Prepares a data set, unless that is already done. An interrupted call is resumed by the same call.

    Remarks about the data are printed on stderr.

    Args:
      name: what the data set is called: any name if `folder` is given, "imagenet2012" for ImageNet's two archives in
        `<data_dir>/downloads/manual`, else a name of TensorFlow Datasets, such as "cifar10".
      data_dir: the folder of all data sets.
      folder: a tree of class folders to make the data set from.
      exclude: class folders to leave out.
      progress: called as the work advances.

    Raises:
      InputError: the name is unknown, files are missing or damaged, the disk is full, or a package is not installed.
    """
    root = pathlib.Path(data_dir).expanduser()
    if exclude and not folder:
        raise InputError("--exclude: leaves out class folders, so it needs --folder")
    if newest := newest_version(root / name):
        prepared = pathlib.Path(newest)
        say(f"{prepared}: already prepared; to prepare it again, delete it first")
    elif folder:
        prepared = _prepare_folder(name, root, folder, exclude, progress)
    elif name == "imagenet2012":
        source = open_imagenet_tars(root / "downloads" / "manual", on_progress=progress)
        prepared = write_array_records(source, root, on_progress=progress)
    else:
        prepared = _prepare_with_tfds(name, root)
    name = str(prepared.relative_to(root).parent)
    source = open_tfds(name, str(root))
    counts = load_class_counts(prepared) or _count_classes(source, progress)
    return PreparedDataset(name, root, prepared, source.classes, counts)


def _prepare_folder(
    name: str, data_dir: pathlib.Path, folder: str, exclude: Sequence[str], progress: Report
) -> pathlib.Path:
    """Prepares class folders and returns the folder of the data set."""
    # Image names hold this path and tell whether data is the same, so it must not depend on the working directory.
    path = str(pathlib.Path(folder).expanduser().resolve())
    source = open_folder(path, exclude, how_to_get="name the class folders with --folder")
    for remark in source.remarks:
        say(remark)
    return write_array_records(dataclasses.replace(source, name=name), data_dir, on_progress=progress)


def _prepare_with_tfds(name: str, data_dir: pathlib.Path) -> pathlib.Path:
    """Lets TensorFlow Datasets prepare one of its data sets and returns the folder of it."""
    tfds = import_tfds(f"{name}:", extra="prepare")
    _check_known(name, tfds.list_builders(with_community_datasets=False))
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(f"{name}: preparing it needs TensorFlow; run: pip install 'hasnn_jax[prepare]'")
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
        say(f"{name}: TensorFlow Datasets downloads and prepares it")
    try:
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        if not {"image", "label"} <= set(builder.info.features or ()):
            raise InputError(f"expected the features 'image' and 'label', got {sorted(builder.info.features or ())}")
        builder.download_and_prepare()
    except Exception as error:  # the code of a data set, or a server, may raise anything
        raise InputError(f"{name}: could not be prepared: {' '.join(str(error).split())}") from error
    return pathlib.Path(builder.data_dir)


def _check_known(name: str, known: list[str]) -> None:
    base = re.split("[/:]", name)[0]
    if base not in known:
        near = difflib.get_close_matches(base, known)
        hint = f"did you mean {' or '.join(near)}?" if near else "see https://www.tensorflow.org/datasets/catalog"
        raise InputError(
            f"{name}: TensorFlow Datasets has no data set of this name; {hint} (for class folders, add --folder)"
        )


def _count_classes(source: Source, progress: Report) -> dict[str, list[int]]:
    """For each split the number of images of each class, by reading all labels."""
    counts, done, total = {}, 0, len(source.train) + len(source.test)
    for name, split in (("train", source.train), ("test", source.test)):
        counts[name] = [0] * len(source.classes)
        for index in range(len(split)):
            counts[name][int(split[index]["label"])] += 1
            done += 1
            progress("counting images", done, total)
    return counts
