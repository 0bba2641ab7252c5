"""Prepares a data set for fast reading in any order: python -m hasnn_jax.data.prepare NAME --data_dir DIR.

Class folders and ImageNet's two archives need no TensorFlow; the other data sets of TensorFlow Datasets do.
"""

import argparse
import dataclasses
import difflib
import importlib.util
import json
import pathlib
import re
import shlex
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from hasnn_jax.data.array_records import SHARDS_FILE, write_array_records
from hasnn_jax.data.folder_source import open_folder
from hasnn_jax.data.imagenet_tars import open_imagenet_tars
from hasnn_jax.data.sources import Source
from hasnn_jax.data.tfds_source import open_tfds
from hasnn_jax.errors import InputError

SECONDS_BETWEEN_LINES = 5
LISTED_CLASSES = 20
SMALLEST_CLASSES = 5
UNITS = ("B", "kB", "MB", "GB", "TB")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    arguments = _parser().parse_args(argv)
    data_dir = pathlib.Path(arguments.data_dir).expanduser()
    try:
        with Progress() as progress:
            folder = prepare(arguments.name, data_dir, arguments.folder, arguments.exclude, progress)
            name = str(folder.relative_to(data_dir).parent)
            source = open_tfds(name, str(data_dir))
            counts = count_classes(folder, source, progress)
        print(summary(name, data_dir, folder, source.classes, counts))
    except InputError as error:
        sys.exit(f"prepare: {error}")
    except KeyboardInterrupt:
        sys.exit("prepare: stopped; the same command goes on")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hasnn_jax.data.prepare",
        description="Prepares a data set for training: class folders (--folder), ImageNet's two archives, laid in "
        "DIR/downloads/manual (imagenet2012), or any image-classification data set of TensorFlow Datasets.",
    )
    parser.add_argument("name", metavar="NAME", help="what the data set is called, such as cifar10 or imagenet2012")
    parser.add_argument("--data_dir", metavar="DIR", required=True, help="the folder of all data sets")
    parser.add_argument("--folder", help="class folders to make the data set of")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="CLASS", help="class folders to leave out")
    return parser


def prepare(
    name: str, data_dir: pathlib.Path, folder: str | None, exclude: Sequence[str], progress: "Progress"
) -> pathlib.Path:
    """Prepares a data set unless it is there already, and gives its folder."""
    if exclude and not folder:
        raise InputError("--exclude: leaves out class folders, so it goes with --folder")
    if prepared := _prepared(data_dir / name):
        progress.say(f"{prepared}: is prepared already; delete it to prepare it anew")
        return prepared
    if folder:
        # The full path, so that the work goes on from wherever the command is given next.
        classes = str(pathlib.Path(folder).expanduser().resolve())
        source = open_folder(classes, exclude, how_to_get="name the class folders with --folder")
        for remark in source.remarks:
            progress.say(remark)
        return write_array_records(dataclasses.replace(source, name=name), data_dir, on_progress=progress)
    if name == "imagenet2012":
        source = open_imagenet_tars(data_dir / "downloads" / "manual", on_progress=progress)
        return write_array_records(source, data_dir, on_progress=progress)
    return _prepare_with_tfds(name, data_dir, progress)


def _prepared(folder: pathlib.Path) -> pathlib.Path | None:
    """The newest complete version."""
    versions = [file.parent for file in folder.glob("*/dataset_info.json") if re.fullmatch(r"[\d.]+", file.parent.name)]
    return max(versions, key=lambda version: [int(part) for part in version.name.split(".")], default=None)


def _prepare_with_tfds(name: str, data_dir: pathlib.Path, progress: "Progress") -> pathlib.Path:
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise InputError(f"{name}: needs tensorflow-datasets; run: pip install 'hasnn_jax[prepare]'") from None
    _check_known(name, tfds.list_builders(with_community_datasets=False))
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(f"{name}: preparing it needs TensorFlow; run: pip install 'hasnn_jax[prepare]'")
    if not progress.on_terminal:
        tfds.disable_progress_bar()
        progress.say(f"{name}: TensorFlow Datasets downloads and prepares it")
    try:
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        if not {"image", "label"} <= set(builder.info.features or ()):
            raise InputError(f"expected the features 'image' and 'label', got {sorted(builder.info.features or ())}")
        builder.download_and_prepare()
    except Exception as error:  # whatever the code of a data set, or a server, may come up with
        raise InputError(f"{name}: could not be prepared: {' '.join(str(error).split())}") from error
    return pathlib.Path(builder.data_dir)


def _check_known(name: str, known: list[str]) -> None:
    base = re.split("[/:]", name)[0]
    if base not in known:
        near = difflib.get_close_matches(base, known)
        hint = f"did you mean {' or '.join(near)}?" if near else "see https://www.tensorflow.org/datasets/catalog"
        raise InputError(f"{name}: TensorFlow Datasets has no such data set; {hint} For class folders, add --folder")


def count_classes(folder: pathlib.Path, source: Source, progress: "Progress") -> dict[str, list[int]]:
    """Split to the number of its images of each class; looks at all of them where nobody has counted before."""
    if (folder / SHARDS_FILE).exists():
        counted = json.loads((folder / SHARDS_FILE).read_text())["class_counts"]
        return {split: counted[split] for split in ("train", "test")}
    counts, done, total = {}, 0, len(source.train) + len(source.test)
    for name, split in (("train", source.train), ("test", source.test)):
        counts[name] = [0] * len(source.classes)
        for index in range(len(split)):
            counts[name][int(split[index]["label"])] += 1
            done += 1
            progress("counting images", done, total)
    return counts


def summary(
    name: str, data_dir: pathlib.Path, folder: pathlib.Path, classes: Sequence[str], counts: dict[str, list[int]]
) -> str:
    """What was prepared, and the command that trains on it."""
    size = sum(file.stat().st_size for file in folder.iterdir())
    images = " + ".join(f"{sum(of_split):,} {split}" for split, of_split in counts.items())
    few = len(classes) <= LISTED_CLASSES
    overrides = {"source": "tfds", "name": name, "data_dir": data_dir, "num_classes": len(classes)}
    command = " ".join(f"--config.data.{key}={shlex.quote(str(value))}" for key, value in overrides.items())
    return "\n".join([
        f"{name}: {images} images of {len(classes):,} classes, {_readable(size)} in {folder}",
        *(_every_class(classes, counts) if few else _spread(classes, counts)),
        f"to train on it: python train.py {command}",
    ])  # fmt: skip


def _every_class(classes: Sequence[str], counts: dict[str, list[int]]) -> list[str]:
    """A line for every class."""
    width = max(map(len, classes))
    return [f"  {'':{width}}" + "".join(f"{split:>9}" for split in counts)] + [
        f"  {name:{width}}" + "".join(f"{of_split[label]:>9,}" for of_split in counts.values())
        for label, name in enumerate(classes)
    ]


def _spread(classes: Sequence[str], counts: dict[str, list[int]]) -> list[str]:
    """A line for every split: how many images the classes have, and the smallest of them."""
    lines = ["  images a class     min   median      max   smallest"]
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


class Progress:
    """What a person sees meanwhile: a bar for each stage on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.on_terminal = sys.stderr.isatty()
        self._stage, self._told = "", -float("inf")
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` are done in a stage; a new stage begins where its name changes."""
        begins, self._stage = stage != self._stage, stage
        if self.on_terminal:
            if begins:
                self._begin_bar(stage, total)
            self._bar.update(done - self._bar.n)
        elif begins or done == total or time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self.say(f"{stage}: {done:,} of {total:,}")

    def say(self, text: str) -> None:
        """A line that stays."""
        print(text, file=sys.stderr, flush=True)

    def _begin_bar(self, stage: str, total: int) -> None:
        from tqdm import tqdm

        if self._bar is not None:
            self._bar.close()
        self._bar = tqdm(desc=stage, total=total, unit_scale=True, dynamic_ncols=True)


if __name__ == "__main__":
    main()
