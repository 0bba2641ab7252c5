"""`hasnn prepare NAME --data_dir DIR`: makes a data set for training, and prints what it contains."""

import argparse
import shlex
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hasnn_jax.commands.command import Command, Options
from hasnn_jax.common.progress import StageProgress

if TYPE_CHECKING:
    from hasnn_jax.data.prepare import PreparedDataset

LISTED_CLASSES = 20
SMALLEST_CLASSES = 5
UNITS = ("B", "kB", "MB", "GB", "TB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("name", metavar="NAME", help="what the data set is called, such as cifar10 or imagenet2012")
    parser.add_argument("--data_dir", metavar="DIR", required=True, help="the folder of all data sets")
    parser.add_argument("--folder", help="class folders to make the data set from")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="CLASS", help="class folders to leave out")


def run(options: Options) -> None:
    """Prepares the data set, and prints its size and classes and the command that trains on it."""
    from hasnn_jax.data.prepare import prepare_dataset  # slow to import

    with StageProgress() as progress:
        dataset = prepare_dataset(options.name, options.data_dir, options.folder, options.exclude, progress)
    print(summary(dataset))


def summary(dataset: "PreparedDataset") -> str:
    """Describes a prepared data set, and gives the command that trains on it."""
    size = sum(file.stat().st_size for file in dataset.folder.iterdir())
    images = " + ".join(f"{sum(of_split):,} {split}" for split, of_split in dataset.counts.items())
    few = len(dataset.classes) <= LISTED_CLASSES
    settings = {
        "source": "tfds",
        "name": dataset.name,
        "data_dir": dataset.data_dir,
        "num_classes": len(dataset.classes),
    }
    command = " ".join(f"--config.data.{key}={shlex.quote(str(value))}" for key, value in settings.items())
    return "\n".join([
        f"{dataset.name}: {images} images of {len(dataset.classes):,} classes, {_readable(size)} in {dataset.folder}",
        *(_every_class if few else _spread)(dataset.classes, dataset.counts),
        f"to train on it: hasnn train {command}",
    ])  # fmt: skip


def _every_class(classes: Sequence[str], counts: dict[str, list[int]]) -> list[str]:
    """A line per class: its number of images in each split."""
    width = max(map(len, classes))
    return [f"  {'':{width}}" + "".join(f"{split:>9}" for split in counts)] + [
        f"  {name:{width}}" + "".join(f"{of_split[label]:>9,}" for of_split in counts.values())
        for label, name in enumerate(classes)
    ]


def _spread(classes: Sequence[str], counts: dict[str, list[int]]) -> list[str]:
    """A line per split: the smallest, median and largest number of images in a class, and the smallest classes."""
    lines = ["  images per class   min   median      max   smallest"]
    for split, of_split in counts.items():
        smallest = sorted(range(len(classes)), key=of_split.__getitem__)[:SMALLEST_CLASSES]
        named = ", ".join(f"{classes[label]} {of_split[label]:,}" for label in smallest)
        spread = min(of_split), statistics.median_low(of_split), max(of_split)
        lines.append(f"  {split:13}" + "".join(f"{count:>9,}" for count in spread) + f"   {named}")
    return lines


def _readable(size: int) -> str:
    """1234567 -> "1.2 MB"."""
    thousands = min((len(str(size)) - 1) // 3, len(UNITS) - 1)
    return f"{size / 1000**thousands:.1f} {UNITS[thousands]}"


COMMAND = Command(
    summary="make a data set that is read quickly in any order",
    description="Makes a data set for training: from class folders (--folder), from ImageNet's two archives in\n"
    "DIR/downloads/manual (imagenet2012), or from any image-classification data set of TensorFlow Datasets.\n"
    "Only the last needs TensorFlow.",
    examples=(
        "hasnn prepare imagenet2012 --data_dir /data",
        "hasnn prepare cifar100 --data_dir /data",
        "hasnn prepare pets --folder ~/pictures --data_dir /data",
    ),
    add_arguments=add_arguments,
    run=run,
    if_interrupted="the same command continues where it stopped",
)
