"""Trees of class folders with real image files."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import Preprocessing, open_folder, train_batches

COLOURS = {"cat": (200, 30, 40), "dog": (20, 180, 60), "emu": (10, 20, 220)}


def make_tree(root, counts, suffix=".png"):
    """Image i of a class has its colour and is i + 3 pixels wide."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            colour = COLOURS.get(name, (9, 9, 9))
            Image.new("RGB", (i + 3, 4), colour).save(root / name / f"{i:03}{suffix}")
    return root


def contents(source, split):
    """Class name and image width of every example."""
    return sorted((source.classes[e["label"]], pixels(e).shape[1]) for e in (split[i] for i in range(len(split))))


def pixels(example):
    """The file, decoded by Pillow."""
    return np.asarray(Image.open(io.BytesIO(example["image"])))


@pytest.mark.parametrize("test_folder", ["test", "val"])
@pytest.mark.parametrize("suffix", [".png", ".JPEG", ".jpg", ".bmp"])
def test_separate_splits_are_taken_as_they_are(tmp_path, test_folder, suffix):
    make_tree(tmp_path / "train", {"dog": 2, "cat": 3}, suffix)
    make_tree(tmp_path / test_folder, {"cat": 1, "dog": 4}, suffix)
    source = open_folder(str(tmp_path))
    assert source.classes == ("cat", "dog")
    assert contents(source, source.train) == [("cat", 3), ("cat", 4), ("cat", 5), ("dog", 3), ("dog", 4)]
    assert contents(source, source.test) == [("cat", 3), ("dog", 3), ("dog", 4), ("dog", 5), ("dog", 6)]
    for split in (source.train, source.test):
        for example in (split[i] for i in range(len(split))):
            colour = np.array(COLOURS[source.classes[example["label"]]])
            assert np.abs(pixels(example).astype(int) - colour).max() <= 4  # JPEG's loss
            assert pathlib.Path(example["name"]).read_bytes() == example["image"]
    assert source.split_names == ("train", test_folder)


def test_one_tree_is_split_class_by_class(tmp_path):
    make_tree(tmp_path, {"cat": 10, "dog": 20, "emu": 2})
    source = open_folder(str(tmp_path))
    train, test = contents(source, source.train), contents(source, source.test)
    everything = [(name, i + 3) for name, count in (("cat", 10), ("dog", 20), ("emu", 2)) for i in range(count)]
    assert sorted(train + test) == everything
    assert [sum(name == c for name, _ in test) for c in source.classes] == [2, 4, 1]
    again = open_folder(str(tmp_path))
    assert contents(again, again.test) == test


def test_test_fraction_sets_the_share_of_the_test_split(tmp_path):
    make_tree(tmp_path, {"cat": 10, "dog": 10})
    assert len(open_folder(str(tmp_path), test_fraction=0.5).test) == 10


def test_excluded_classes_are_left_out(tmp_path):
    make_tree(tmp_path, {"BACKGROUND_Google": 3, "cat": 4, "dog": 4})
    source = open_folder(str(tmp_path), exclude=("BACKGROUND_Google",))
    assert source.classes == ("cat", "dog")
    assert len(source.train) + len(source.test) == 8


def test_hidden_files_and_files_that_are_not_images_are_skipped(tmp_path):
    make_tree(tmp_path, {"cat": 4, ".thumbnails": 2})
    for name in ("cat/Thumbs.db", "cat/readme.txt", "cat/._000.png", "licence.txt"):
        (tmp_path / name).write_bytes(b"none")
    source = open_folder(str(tmp_path))
    assert source.classes == ("cat",)
    assert len(source.train) + len(source.test) == 4
    assert source.remarks == ("skipped 3 files that are hidden or do not have the name of an image",)


def test_a_tilde_stands_for_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_tree(tmp_path / "pets", {"cat": 2})
    source = open_folder("~/pets")
    assert (source.name, len(source.train), len(source.test)) == ("pets", 1, 1)


def test_a_missing_folder_says_how_to_get_the_data(tmp_path):
    with pytest.raises(InputError, match=r"/nowhere: no such folder; unpack pets\.tar$"):
        open_folder(str(tmp_path / "nowhere"), how_to_get="unpack pets.tar")
    with pytest.raises(InputError, match=r"/nowhere: no such folder; name the folder with --config\.data\.data_dir="):
        open_folder(str(tmp_path / "nowhere"))


def test_a_class_without_images_is_named(tmp_path):
    make_tree(tmp_path, {"cat": 2, "dog": 0})
    with pytest.raises(InputError, match=f"^{tmp_path}: no images in dog; expected one folder of images per class"):
        open_folder(str(tmp_path))


def test_a_folder_without_class_folders_says_what_was_expected(tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "loose.png")
    with pytest.raises(InputError, match=f"^{tmp_path}: no class folders; expected one folder of images per class"):
        open_folder(str(tmp_path))


def test_a_training_folder_without_a_test_folder_says_which_one_is_missing(tmp_path):
    make_tree(tmp_path / "train", {"cat": 2, "dog": 2})
    with pytest.raises(InputError, match=r"train.*(test/ or val/|test or val)"):
        open_folder(str(tmp_path))


def test_a_class_of_one_image_cannot_be_split(tmp_path):
    make_tree(tmp_path, {"cat": 2, "dog": 1})
    with pytest.raises(InputError, match="/dog: 1 image; a class needs at least two images to be split"):
        open_folder(str(tmp_path))


def test_a_class_of_one_image_is_enough_where_the_splits_are_given(tmp_path):
    make_tree(tmp_path / "train", {"cat": 1})
    make_tree(tmp_path / "test", {"cat": 1})
    assert len(open_folder(str(tmp_path)).test) == 1


def test_classes_that_differ_between_the_splits_are_named(tmp_path):
    make_tree(tmp_path / "train", {"cat": 1, "dog": 1})
    make_tree(tmp_path / "val", {"cat": 1, "emu": 1})
    with pytest.raises(InputError, match="classes in only one of the splits: dog, emu; both need the same folders"):
        open_folder(str(tmp_path))


def test_a_file_that_vanishes_while_training_is_named(tmp_path):
    make_tree(tmp_path / "train", {"cat": 3})
    make_tree(tmp_path / "test", {"cat": 1})
    source = open_folder(str(tmp_path))
    (tmp_path / "train" / "cat" / "001.png").unlink()
    with pytest.raises(
        InputError, match=r"train/cat/001\.png: cannot be read \(No such file or directory\); put it back"
    ):
        for _ in train_batches(source.train, Preprocessing(1, 4), batch_size=3, seed=0):
            pass
