"""Batches: those for training depend only on seed and step, those for evaluation hold every example once."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import Preprocessing, evaluation_batches, open_digits, pipeline, train_batches
from hasnn_jax.data.digits_source import ArraySplit

EXAMPLES = 53


def numbered_split(count=EXAMPLES):
    """Example i has label i and an image unlike all others; no image is symmetric."""
    images = np.random.default_rng(0).integers(1, 256, (count, 4, 4, 3), dtype=np.uint8)
    return ArraySplit(images, np.arange(count, dtype=np.int32))


def preprocessing(**augmentation):
    return Preprocessing(num_classes=EXAMPLES, image_size=4, **augmentation)


def take(batches, count):
    return list(itertools.islice(batches, count))


def assert_same_batches(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_a_restart_gives_the_batches_that_the_run_would_have_had():
    arguments = {"batch_size": 8, "seed": 5}
    augmented = preprocessing(flip=True, shift=1)
    whole = take(train_batches(numbered_split(), augmented, **arguments), 40)
    resumed = take(train_batches(numbered_split(), augmented, **arguments, start_step=23), 17)  # ends of passes: 26, 33
    assert_same_batches(whole[23:], resumed)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 12), st.integers(2, 4), st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_batch_k_is_a_function_of_seed_and_k(examples, batch_size, start, seed):
    split = numbered_split(examples)
    arguments = {"batch_size": batch_size, "seed": seed}
    whole = take(train_batches(split, preprocessing(shift=2), **arguments), start + 2)
    resumed = take(train_batches(split, preprocessing(shift=2), **arguments, start_step=start), 2)
    assert_same_batches(whole[start:], resumed)


def test_what_is_off_draws_nothing_so_that_batches_stay_those_of_the_other_augmentations():
    arguments = {"batch_size": 8, "seed": 5}
    plain = take(train_batches(numbered_split(), preprocessing(flip=True, shift=1), **arguments), 10)
    off = preprocessing(flip=True, shift=1, randaugment=None, randaugment_magnitude=30, random_erasing=0.0)
    assert_same_batches(plain, take(train_batches(numbered_split(), off, **arguments), 10))
    on = preprocessing(flip=True, shift=1, randaugment=1, random_erasing=0.5)
    for a, b in zip(plain, take(train_batches(numbered_split(), on, **arguments), 10), strict=True):
        np.testing.assert_array_equal(a["label"], b["label"])
        assert not np.array_equal(a["image"], b["image"])


def test_a_batch_may_be_one_example():
    labels = [
        int(batch["label"][0])
        for batch in take(train_batches(numbered_split(4), preprocessing(), batch_size=1, seed=0), 8)
    ]
    assert sorted(labels[:4]) == sorted(labels[4:]) == [0, 1, 2, 3]


@pytest.mark.parametrize("threads", [1, 16])
def test_batches_do_not_depend_on_the_number_of_reading_threads(monkeypatch, threads):
    def batches():
        return take(train_batches(numbered_split(), preprocessing(flip=True, shift=1), batch_size=8, seed=0), 14)

    expected = batches()
    monkeypatch.setattr(pipeline, "READ_THREADS", threads)
    assert_same_batches(batches(), expected)


def test_different_seeds_give_different_orders():
    first, second = (next(train_batches(numbered_split(), preprocessing(), batch_size=50, seed=s)) for s in (0, 1))
    assert list(first["label"]) != list(second["label"])


def test_every_pass_shows_every_example_once_in_a_new_order():
    batches = take(train_batches(numbered_split(), preprocessing(), batch_size=8, seed=0), 3 * EXAMPLES // 8 + 1)
    labels = np.concatenate([batch["label"] for batch in batches])
    passes = [labels[i * EXAMPLES : (i + 1) * EXAMPLES] for i in range(3)]
    for shown in passes:
        assert sorted(shown) == list(range(EXAMPLES))
    orders = {tuple(shown) for shown in passes} | {tuple(range(EXAMPLES))}
    assert len(orders) == 4


def test_every_batch_is_full_even_where_the_split_is_smaller_than_a_batch():
    for batch in take(train_batches(numbered_split(3), preprocessing(), batch_size=8, seed=0), 5):
        assert (batch["image"].shape, batch["image"].dtype) == ((8, 4, 4, 3), np.uint8)
        assert (batch["label"].shape, batch["label"].dtype) == ((8,), np.int32)


def test_images_keep_their_labels():
    split = numbered_split()
    for batch in take(train_batches(split, preprocessing(), batch_size=8, seed=0), 9):
        np.testing.assert_array_equal(batch["image"], split.images[batch["label"]])


def test_augmentation_is_drawn_again_for_every_example_and_every_pass():
    split = numbered_split()
    batches = take(train_batches(split, preprocessing(flip=True), batch_size=EXAMPLES, seed=0), 6)
    flipped = np.zeros((6, EXAMPLES), bool)
    for number, batch in enumerate(batches):
        for image, label in zip(batch["image"], batch["label"], strict=True):
            flipped[number, label] = not np.array_equal(image, split.images[label])
            np.testing.assert_array_equal(image, split.images[label][:, :: -1 if flipped[number, label] else 1])
    assert 0.35 < flipped.mean() < 0.65
    assert len({tuple(row) for row in flipped}) == 6
    assert len({tuple(column) for column in flipped.T}) > 20


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 50))
def test_evaluation_shows_every_example_once_in_order_and_masks_the_rest(examples, batch_size):
    split = numbered_split(examples)
    augmented = preprocessing(flip=True, shift=2, randaugment=2, random_erasing=1.0)
    batches = list(evaluation_batches(split, augmented, batch_size=batch_size))
    assert all(batch["image"].shape[0] == batch["label"].shape[0] == batch_size for batch in batches)
    mask = np.concatenate([batch["mask"] for batch in batches])
    assert mask.dtype == bool
    assert mask.sum() == examples
    assert mask[:examples].all()
    np.testing.assert_array_equal(np.concatenate([batch["label"] for batch in batches])[mask], np.arange(examples))
    np.testing.assert_array_equal(np.concatenate([batch["image"] for batch in batches])[mask], split.images)


def test_the_last_evaluation_batch_is_filled_with_its_last_example():
    *_, last = evaluation_batches(numbered_split(10), preprocessing(), batch_size=4)
    assert list(last["label"]) == [8, 9, 9, 9]
    assert list(last["mask"]) == [True, True, False, False]
    np.testing.assert_array_equal(last["image"][1:], np.repeat(numbered_split(10).images[9:], 3, axis=0))


def test_images_are_resized_to_the_size_asked_for():
    digits = open_digits()
    resizing = Preprocessing(num_classes=10, image_size=12)
    assert next(train_batches(digits.train, resizing, batch_size=2, seed=0))["image"].shape == (2, 12, 12, 1)
    assert next(evaluation_batches(digits.test, resizing, batch_size=2))["image"].shape == (2, 12, 12, 1)


def read_one_for_training(split, preprocessing):
    return next(train_batches(split, preprocessing, batch_size=2, seed=0))


def read_one_for_evaluation(split, preprocessing):
    return next(evaluation_batches(split, preprocessing, batch_size=1))


@pytest.mark.parametrize("read", [read_one_for_training, read_one_for_evaluation])
@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), 7, "image: label 7: expected 0 to 6, because the model has 7 classes"),
        (np.zeros((4, 4, 3), np.uint8), -1, "image: label -1: expected 0 to 6, because the model has 7 classes"),
        (np.zeros((4, 4, 3), np.float32), 0, "image: expected uint8 [H, W, C], got float32 of shape (4, 4, 3)"),
        (np.zeros((4, 4), np.uint8), 0, "image: expected uint8 [H, W, C], got uint8 of shape (4, 4)"),
    ],
)
def test_a_bad_example_comes_through_the_reading_threads_as_an_input_error(read, image, label, message):
    with pytest.raises(InputError) as caught:
        read(ArraySplit(image[None], np.array([label])), Preprocessing(num_classes=7, image_size=4))
    assert str(caught.value) == message
