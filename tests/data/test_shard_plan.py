"""The check of all examples before the first is written, and their division into shards."""

import pytest
from shapes_data_set import Images, Outlined, image_file, shapes, write

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import shard_plan
from hasnn_jax.data.sources import Source

pytest.importorskip("tensorflow_datasets")


def test_shards_are_named_and_filled_evenly(tmp_path):
    folder = write(tmp_path)
    shards = [file.name for file in sorted(folder.glob("shapes-train.array_record-*"))]

    assert shards == [f"shapes-train.array_record-0000{i}-of-00004" for i in range(4)]
    assert '"shardLengths":["2","3","2","3"]' in (folder / "dataset_info.json").read_text().translate({32: "", 10: ""})


def test_shards_are_of_a_sensible_size_by_default(tmp_path, monkeypatch):
    assert shard_plan.SHARD_BYTES == 2**27
    monkeypatch.setattr(shard_plan, "SHARD_BYTES", 250)
    folder = write(tmp_path, shapes(test=Images([image_file(0)] * 9)), examples_per_shard=None)

    assert len(image_file(0)) * 3 < 250 < len(image_file(0)) * 4
    assert len(list(folder.glob("shapes-test*"))) == 3


UNREADABLE = {
    "is empty": b"",
    "cannot be read as an image": b"GIF89a, or so it says",
    "cannot be read as an image ": image_file(0)[:20],
    "has 9000 x 9000 pixels; expected 1 to 67,108,864": image_file(0, size=(9000, 9000), mode="1"),
}


@pytest.mark.parametrize("outlined", [False, True])
@pytest.mark.parametrize("reason", UNREADABLE)
def test_an_unreadable_image_stops_the_work_with_its_path(tmp_path, reason, outlined):
    files = [image_file(0), UNREADABLE[reason]]
    test = Outlined(files) if outlined else Images(files)
    with pytest.raises(InputError, match=rf"^img/1\.png: {reason}.*remove it$"):
        write(tmp_path, shapes(test=test))
    assert not list(tmp_path.glob("**/*test.array_record-*"))


@pytest.mark.parametrize("kind", [Images, Outlined])
def test_all_empty_images_are_named_before_the_first_is_written(tmp_path, kind):
    with pytest.raises(InputError) as caught:
        write(tmp_path, shapes(test=kind([b""] * 7)))

    assert str(caught.value).startswith("7 images are unreadable: img/0.png: is empty; replace or remove it; img/1.png")
    assert str(caught.value).endswith("; and 2 more")
    assert list(tmp_path.iterdir()) == []


def test_a_label_without_a_class_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^img/2\.png: label 2; expected 0 to 1$"):
        write(tmp_path, shapes(test=Images([image_file(0)] * 3, [0, 1, 2])))


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^shapes: the split 'test' has no images"):
        write(tmp_path, Source("shapes", ("disc", "ring"), shapes().train, Images([])))
