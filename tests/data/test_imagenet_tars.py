"""ImageNet's two archives, as small imitations: they are read without being unpacked."""

import concurrent.futures
import io
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.imagenet_tars import open_imagenet_tars

SYNSETS = ("n02084071", "n01440764", "n01443537")  # not in the order of the archive
TRUTH = ("n01443537", "n02084071", "n01440764", "n02084071")


def image_file(value, form="JPEG", mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, (5, 4), (value,) * len(mode)).save(file, form)
    return file.getvalue()


def tar(files, path=None):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    if path is not None:
        path.write_bytes(stream.getvalue())
    return stream.getvalue()


# As in the original, one image is a PNG file with a wrong suffix, and some are CMYK.
IMAGES = {
    "n01440764": {"n01440764_10026.JPEG": image_file(10), "n01440764_7.JPEG": image_file(20, "PNG")},
    "n01443537": {"n01443537_2.JPEG": image_file(30, mode="CMYK")},
    "n02084071": {f"n02084071_{i}.JPEG": image_file(40 + i) for i in range(3)},
}
VALIDATION = {f"ILSVRC2012_val_{i:08d}.JPEG": image_file(100 + i) for i in (3, 1, 4, 2)}  # not in order either


def lay_train(folder, images=IMAGES):
    tar({f"{synset}.tar": tar(files) for synset, files in images.items()}, folder / "ILSVRC2012_img_train.tar")


def open_imitation(folder):
    return open_imagenet_tars(folder, synsets=SYNSETS, validation_synsets=TRUTH)


@pytest.fixture
def folder(tmp_path):
    lay_train(tmp_path)
    tar(VALIDATION, tmp_path / "ILSVRC2012_img_val.tar")
    return tmp_path


def test_training_images_come_class_by_class_in_the_order_of_the_labels(folder):
    source = open_imitation(folder)
    expected = [(data, label) for label, synset in enumerate(SYNSETS) for data in IMAGES[synset].values()]

    assert (source.name, source.classes) == ("imagenet2012", SYNSETS)
    assert [(example["image"], example["label"]) for example in map(source.train.__getitem__, range(6))] == expected
    assert source.train[0]["label"].dtype == np.int32
    assert len(source.train) == 6


def test_validation_labels_follow_the_names_not_the_places_in_the_archive(folder):
    test = open_imitation(folder).test
    names = sorted(VALIDATION)

    assert [test[i]["image"] for i in range(len(test))] == [VALIDATION[name] for name in names]
    assert [test[i]["label"] for i in range(len(test))] == [SYNSETS.index(synset) for synset in TRUTH]


def test_a_png_named_jpeg_and_a_cmyk_jpeg_pass_unchanged(folder):
    examples = [open_imitation(folder).train[i] for i in (4, 5)]
    opened = [Image.open(io.BytesIO(example["image"])) for example in examples]

    assert [(image.format, image.mode) for image in opened] == [("PNG", "RGB"), ("JPEG", "CMYK")]


def test_an_example_is_named_by_its_place_in_the_archive(folder):
    source = open_imitation(folder)

    assert source.train[3]["name"] == f"{folder}/ILSVRC2012_img_train.tar/n01440764.tar/n01440764_10026.JPEG"
    assert source.test[0]["name"] == f"{folder}/ILSVRC2012_img_val.tar/ILSVRC2012_val_00000001.JPEG"


def test_an_outline_gives_name_label_and_size_without_reading(folder):
    train = open_imitation(folder).train
    examples = [train[i] for i in range(len(train))]
    expected = [(example["name"], example["label"], len(example["image"])) for example in examples]
    train.path.unlink()

    assert [train.outline(i) for i in range(len(train))] == expected


def test_a_split_is_read_from_several_threads_and_in_other_processes(folder):
    train = pickle.loads(pickle.dumps(open_imitation(folder).train))
    expected = [train[i]["image"] for i in range(6)]
    order = np.random.default_rng(0).integers(0, 6, 300)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda i: train[i]["image"], order))

    assert images == [expected[i] for i in order]


def test_progress_is_reported_after_every_class(folder):
    reports = []
    open_imagenet_tars(
        folder, synsets=SYNSETS, validation_synsets=TRUTH, on_progress=lambda *progress: reports.append(progress)
    )

    assert reports == [("indexing classes", 1, 3), ("indexing classes", 2, 3), ("indexing classes", 3, 3)]


def test_classes_and_validation_labels_come_with_tensorflow_datasets(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    lay_train(tmp_path, {"n01440764": IMAGES["n01440764"]})
    tar(VALIDATION, tmp_path / "ILSVRC2012_img_val.tar")
    with pytest.raises(InputError, match="contains 4 files; expected 50000, ILSVRC2012_val_00000001"):
        open_imagenet_tars(tmp_path)
    with pytest.raises(InputError, match=r"contains only 1 of 1000 classes; n01443537\.tar is missing"):
        open_imagenet_tars(tmp_path, validation_synsets=["n01440764"] * 4)


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"])
def test_a_missing_archive_is_named_with_where_to_get_it(folder, name):
    (folder / name).unlink()
    with pytest.raises(
        InputError, match=rf"^{folder}/{name}: no such archive; .*https://image-net\.org.* put it there$"
    ):
        open_imitation(folder)


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"])
@pytest.mark.parametrize("cut", [0, 100, 512, 900, 1024, 4096, None])
def test_an_archive_that_was_cut_anywhere_is_refused(folder, name, cut):
    content = (folder / name).read_bytes().rstrip(b"\0")
    (folder / name).write_bytes(content[:cut])
    with pytest.raises(InputError, match=rf"^{folder}/{name}.*; download it again from https://image-net"):
        open_imitation(folder)


def test_an_archive_that_was_cut_between_two_images_is_refused(folder):
    path = folder / "ILSVRC2012_img_val.tar"
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    path.write_bytes(path.read_bytes()[: last.offset])
    with pytest.raises(InputError, match="is truncated or damaged"):
        open_imitation(folder)


def test_a_damaged_header_inside_a_class_is_refused(folder):
    path = folder / "ILSVRC2012_img_train.tar"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"n02084071_1.JPEG", b"n02084071_9.JPEG"))  # the header's checksum no longer matches
    with pytest.raises(InputError, match=r"n02084071\.tar: is truncated or damaged"):
        open_imitation(folder)


def test_an_archive_that_shrinks_after_it_was_opened_is_noticed(folder):
    train = open_imitation(folder).train
    train.path.write_bytes(train.path.read_bytes()[: int(train.offsets[0]) + 10])
    with pytest.raises(InputError, match=r"n02084071_0\.JPEG: the archive ended after 10 of \d+ bytes"):
        train[0]


def test_an_unexpected_class_is_refused(folder):
    lay_train(folder, IMAGES | {"n99999999": {}})
    with pytest.raises(
        InputError, match=r"contains 'n99999999\.tar'; expected one archive per class, such as n02084071\.tar"
    ):
        open_imitation(folder)


def test_an_unexpected_image_is_refused(folder):
    lay_train(folder, IMAGES | {"n01443537": {"n01440764_3.JPEG": image_file(0)}})
    with pytest.raises(InputError, match=r"n01443537\.tar: contains 'n01440764_3\.JPEG'; expected images named like"):
        open_imitation(folder)


def test_a_folder_among_the_images_is_refused(folder):
    with tarfile.open(folder / "ILSVRC2012_img_val.tar", "a") as archive:
        member = tarfile.TarInfo("val")
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    with pytest.raises(InputError, match="contains 'val', which is not a file"):
        open_imitation(folder)


def test_a_wrong_number_of_validation_images_is_refused(folder):
    tar(dict(list(VALIDATION.items())[:3]), folder / "ILSVRC2012_img_val.tar")
    with pytest.raises(InputError, match=r"contains 3 files; expected 4, ILSVRC2012_val_00000001\.JPEG to "):
        open_imitation(folder)


def test_an_unexpected_validation_image_is_named(folder):
    tar(VALIDATION | {"readme.txt": b"?"}, folder / "ILSVRC2012_img_val.tar")
    with pytest.raises(InputError, match=r"contains 5 files, such as 'readme\.txt'; expected 4"):
        open_imitation(folder)
