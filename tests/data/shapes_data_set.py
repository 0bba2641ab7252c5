"""A small data set, `shapes`, for the tests that write it as ArrayRecord files.

Run as a program, this file writes the data set and kills itself with SIGKILL at a given moment.
"""

import io
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.data.array_records import write_array_records
from hasnn_jax.data.sources import Source

ROOT = pathlib.Path(__file__).parents[2]


class Images:
    """A split in memory; it counts how often it is read."""

    def __init__(self, files, labels=None):
        self.files, self.labels, self.reads = files, labels or [i % 2 for i in range(len(files))], 0

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        self.reads += 1
        return {"image": self.files[index], "label": np.int32(self.labels[index]), "name": f"img/{index}.png"}


class Outlined(Images):
    def outline(self, index):
        return f"img/{index}.png", self.labels[index], len(self.files[index])


def image_file(value, form="PNG", size=(5, 4), mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, size, value if mode == "1" else (value,) * 3).save(file, form)
    return file.getvalue()


def shapes(name="shapes", train=None, test=None):
    train = train or Images([image_file(10 * i, ("PNG", "JPEG", "BMP")[i % 3]) for i in range(10)])
    return Source(name, ("disc", "ring"), train, test or Images([image_file(i) for i in range(3)]))


def write(data_dir, source=None, **options):
    return write_array_records(source or shapes(), data_dir, **{"examples_per_shard": 3, **options})


def write_two_shards(data_dir):
    """Writes two shards of the data set, then is interrupted. Returns the unfinished folder."""

    def stop(stage, done, total):
        if (stage, done) == ("writing images", 6):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(data_dir, on_progress=stop)
    return data_dir / "shapes" / "1.0.0.incomplete"


def write_until_killed(data_dir, moment):
    """Writes in a process that is killed at the moment: "rename", or a report such as "writing images 5"."""
    run = subprocess.run(
        [sys.executable, __file__, str(data_dir), moment],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def stamps(folder):
    """Differs for shard files that were written again, and is the same for files that were left alone."""
    shards = [file for file in folder.glob("*.array_record-*") if not file.name.startswith(".")]
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in shards}


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    target, moment = sys.argv[1:]
    if moment == "rename":
        pathlib.Path.rename = die
    write(target, on_progress=lambda stage, done, total: moment == f"{stage} {done}" and die())
