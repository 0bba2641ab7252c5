"""Speed and memory of the input pipeline: 224 pixels, JPEG, random resized crop, flip, batches of 64.

    python benchmarks/data_pipeline.py                       # on JPEGs that are created from two photographs
    python benchmarks/data_pipeline.py --data_dir DIR        # on your own folder of classes

Compares the pipeline with a bare loop that decodes and resizes with the same codec, in alternating rounds. Both use all
cores; the loop runs in one process per core. Then reads 20,000 images and measures the memory of all processes. Prints
JSON. Needs psutil, and scikit-learn for the photographs.
"""

import argparse
import contextlib
import io
import itertools
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import psutil
from PIL import Image

from hasnn_jax.data import Preprocessing, Reading, Source, open_folder, train_batches

SIZE, BATCH = 224, 64
ROUNDS, WARM_UP, TIMED = 5, 12, 32  # WARM_UP batches empty the buffers before TIMED batches are timed
MEMORY_AT = (2_000, 5_000, 10_000, 15_000, 20_000)  # images
CORES = os.cpu_count() or 1


def main() -> None:
    """Measures speed and memory, and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=pathlib.Path)
    parser.add_argument("--workers", type=int, default=CORES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.data_dir is None:
            make_images(pathlib.Path(folder))
        source = open_folder(str(options.data_dir or folder))
        speeds = measure_speeds(source, options.workers)
        memory = measure_memory(source, options.workers)
    shares = {
        name: [a / b for a, b in zip(rounds, speeds["bare loop"], strict=True)] for name, rounds in speeds.items()
    }
    print(json.dumps({
        "images/s a core": {name: round(statistics.median(rounds) / CORES, 1) for name, rounds in speeds.items()},
        "share of the bare loop": {name: round(statistics.median(share), 3) for name, share in shares.items()},
        "lowest and highest round": {name: [round(min(s), 3), round(max(s), 3)] for name, s in shares.items()},
        "memory of all processes in MiB, by images read": memory,
        "machine": {"cores": CORES, "python": platform.python_version(), "pillow": Image.__version__},
    }, indent=2))  # fmt: skip


def make_images(folder: pathlib.Path, count: int = 1_000) -> None:
    """Creates JPEGs with the typical size and quality of ImageNet: random crops of two photographs."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    photographs = [np.asarray(Image.fromarray(photo).resize((960, 640))) for photo in load_sample_images().images]
    for i in range(count):
        top, left = rng.integers(0, 640 - 375), rng.integers(0, 960 - 500)
        part = photographs[i % 2][top : top + 375, left : left + 500]
        file = folder / ("test" if i % 10 == 0 else "train") / f"photo{i // 10 % 2}" / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(part).save(file, quality=90)


def measure_speeds(source: Source, workers: int) -> dict[str, list[float]]:
    """Images/s of each way of reading, one number for each round."""
    ways = {f"pipeline, {workers} workers": workers, "pipeline, threads": 0}
    speeds: dict[str, list[float]] = {"bare loop": [], **{name: [] for name in ways}}
    files = [source.train[i]["name"] for i in range(len(source.train))]
    each = BATCH * TIMED // CORES
    shares = [list(itertools.islice(itertools.cycle(files), i * each, (i + 1) * each)) for i in range(CORES)]
    for _ in range(ROUNDS):
        for name, count in ways.items():
            speeds[name].append(pipeline_speed(source, count))
        with multiprocessing.get_context("spawn").Pool(CORES) as pool:
            pool.map(bare_loop, [files[:16]] * CORES, chunksize=1)  # only starts the processes
            began = time.perf_counter()
            pool.map(bare_loop, shares, chunksize=1)
            speeds["bare loop"].append(each * CORES / (time.perf_counter() - began))
    return speeds


def batches(source: Source, workers: int):
    """The training batches whose speed and memory are measured."""
    preprocessing = Preprocessing(len(source.classes), SIZE, crop_scale=0.08, flip=True)
    return train_batches(source.train, preprocessing, batch_size=BATCH, seed=0, reading=Reading(workers=workers))


def pipeline_speed(source: Source, workers: int) -> float:
    """Images/s after the warm-up: while the processes start, batches accumulate in the buffers."""
    with contextlib.closing(batches(source, workers)) as stream:
        for _ in itertools.islice(stream, WARM_UP):
            pass
        began = time.perf_counter()
        for _ in itertools.islice(stream, TIMED):
            pass
        return BATCH * TIMED / (time.perf_counter() - began)


def bare_loop(files: Sequence[str]) -> int:
    """Only decodes and resizes. Returns the last pixel, so that no work can be skipped."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    for file in files:
        with Image.open(io.BytesIO(pathlib.Path(file).read_bytes())) as image:
            image.draft(None, (SIZE, SIZE))
            pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    return int(pixels[-1, -1, -1])


def measure_memory(source: Source, workers: int) -> dict[str, float]:
    """MiB that this process and its children use (unique set size), by the number of images read."""
    used = {}
    with contextlib.closing(batches(source, workers)) as stream:
        read = 0
        for _ in stream:
            read += BATCH
            if len(used) < len(MEMORY_AT) and read >= MEMORY_AT[len(used)]:
                family = [psutil.Process(), *psutil.Process().children(recursive=True)]
                used[f"{MEMORY_AT[len(used)]:,}"] = round(sum(p.memory_full_info().uss for p in family) / 2**20)
            if len(used) == len(MEMORY_AT):
                return used
    return used


if __name__ == "__main__":
    main()
