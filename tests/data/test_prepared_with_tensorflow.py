"""Data prepared with TensorFlow in one environment is read in another that does not have it."""

import os
import pathlib
import subprocess
import sys

import pytest

import hasnn_jax

pytest.importorskip("tensorflow_datasets")

TENSORFLOW_PYTHON = os.environ.get("HASNN_TENSORFLOW_PYTHON")

# A data set written by TFDS itself; TensorFlow encodes its images.
PREPARE_WITH_TENSORFLOW = '''
import sys
import tensorflow as tf
import tensorflow_datasets as tfds

class Drawn(tfds.core.GeneratorBasedBuilder):
    """Image i is filled with the value 20 i, its label is i mod 3."""
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.ClassLabel(names=["disc", "ring", "star"])
        features = {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, manager):
        return {"train": self._generate_examples(9), "test": self._generate_examples(4)}

    def _generate_examples(self, count):
        for i in range(count):
            path = f"{sys.argv[1]}/{i}.jpg"
            tf.io.write_file(path, tf.io.encode_jpeg(tf.fill((8, 6, 3), tf.cast(20 * i, tf.uint8)), quality=100))
            yield i, {"image": path, "label": i % 3}

Drawn(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()
'''

READ = """
import io, sys
import numpy as np
from PIL import Image
from hasnn_jax.data.tfds_source import open_tfds

def grey(encoded):
    return int(np.rint(np.asarray(Image.open(io.BytesIO(encoded))).mean()))

source = open_tfds("drawn", sys.argv[1])
print(source.classes)
for split in (source.train, source.test):
    examples = [split[i] for i in range(len(split))]
    print(sorted((grey(example["image"]), int(example["label"])) for example in examples))
"""


@pytest.mark.slow
@pytest.mark.skipif(TENSORFLOW_PYTHON is None, reason="HASNN_TENSORFLOW_PYTHON does not name a python with TensorFlow")
def test_data_prepared_with_tensorflow_in_one_environment_is_read_in_another_without_it(tmp_path):
    command = [TENSORFLOW_PYTHON, "-c", PREPARE_WITH_TENSORFLOW, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    poison = tmp_path / "no_tensorflow"
    poison.mkdir()
    (poison / "tensorflow.py").write_text("raise AssertionError('TensorFlow was imported')\n")
    search = [poison, pathlib.Path(hasnn_jax.__file__).parents[1]]
    read = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": ":".join(map(str, search))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    train, test = ([(20 * i, i % 3) for i in range(count)] for count in (9, 4))

    assert read.returncode == 0, read.stderr
    assert read.stdout == f"('disc', 'ring', 'star')\n{train}\n{test}\n"
