"""The index of class folders: streaming, compact, cached, and built again when the folders change."""

import os
import pathlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import folder_index
from hasnn_jax.data.folder_index import build_index, index_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Every tree is cached, in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(folder_index, "CACHED_FROM", 1)
    return tmp_path / "cache" / "hasnn_jax" / "folders"


@pytest.fixture
def tree(tmp_path):
    for path in ("b/2.jpg", "b/1.PNG", "a/x.jpeg", "a/notes.txt", "a/.hidden.jpg"):
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_bytes(b"")
    return tmp_path / "tree"


def files(index):
    return [(str(index.path(i).relative_to(index.root)), index.label(i)) for i in range(len(index))]


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text("abcé", min_size=1), st.sets(st.text("xyzü", min_size=1), min_size=1), min_size=1))
def test_files_come_by_class_and_name(tree):
    tree = {name: {f"{file}.jpg" for file in members} for name, members in tree.items()}
    index = build_index(pathlib.Path("root"), ((name, iter(tree[name])) for name in sorted(tree)))
    expected = [
        (f"{name}/{file}", label)
        for label, name in enumerate(sorted(tree))
        for file in sorted(tree[name], key=os.fsencode)
    ]
    assert files(index) == expected
    assert list(index.counts) == [len(tree[name]) for name in sorted(tree)]


@pytest.mark.slow
def test_a_million_files_take_some_twenty_bytes_each(tmp_path):
    classes, each = 1000, 1000
    listings = ((f"n{c:08}", (f"n{c:08}_{i}.JPEG" for i in range(each))) for c in range(classes))
    tracemalloc.start()
    index = build_index(tmp_path, listings)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index) == classes * each
    assert held < 30 * len(index)
    assert peak < 60 * len(index)
    assert index.path(999_999) == tmp_path / "n00000999" / "n00000999_999.JPEG"
    assert (index.label(0), index.label(999), index.label(1000), index.label(999_999)) == (0, 0, 1, 999)


def test_a_second_look_lists_no_folder(tree, monkeypatch):
    first = index_folder(tree)
    monkeypatch.setattr(folder_index, "_listing", lambda folder: pytest.fail(f"{folder} was listed again"))
    again = index_folder(tree)
    assert files(again) == files(first) == [("a/x.jpeg", 0), ("b/1.PNG", 1), ("b/2.jpg", 1)]
    assert again.skipped == first.skipped == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "b" / "3.jpg").write_bytes(b""),
        lambda tree: (tree / "b" / "1.PNG").unlink(),
        lambda tree: (tree / "b").rename(tree / "c"),
        lambda tree: os.renames(tree / "b" / "2.jpg", tree / "d" / "2.jpg"),
    ],
    ids=["a file more", "a file less", "a class renamed", "a class more"],
)
def test_a_changed_tree_is_listed_again(tree, change):
    index_folder(tree)
    for folder in tree.iterdir():  # as if indexed long ago, so that the resolution of the clock does not matter
        os.utime(folder, ns=(1, 1))
    index_folder(tree)
    change(tree)
    expected = sorted(
        str(p.relative_to(tree)) for p in tree.rglob("*") if p.suffix.lower() in (".jpg", ".png", ".jpeg")
    )
    assert [path for path, _ in files(index_folder(tree))] == [path for path in expected if "hidden" not in path]


def test_excluded_classes_are_another_index(tree):
    assert len(index_folder(tree)) == 3
    assert index_folder(tree, exclude=("a",)).classes == ("b",)
    assert index_folder(tree).classes == ("a", "b")


@pytest.mark.parametrize("damage", [b"", b"damage", b"PK\x03\x04 damage"])
def test_a_damaged_cache_is_replaced(tree, cache, damage):
    expected = files(index_folder(tree))
    (file,) = cache.iterdir()
    file.write_bytes(damage)
    assert files(index_folder(tree)) == expected
    assert file.read_bytes() != damage


def test_an_unwritable_cache_is_no_error(tree, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(index_folder(tree)) == 3


def test_a_small_tree_is_not_cached(tree, cache, monkeypatch):
    monkeypatch.setattr(folder_index, "CACHED_FROM", 4)
    index_folder(tree)
    assert not cache.exists()


def test_a_long_listing_shows_its_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(folder_index, "SECONDS_BETWEEN_REPORTS", -1.0)
    build_index(tmp_path, iter([("a", ["1.jpg"]), ("b", ["1.jpg", "2.jpg"])]))
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}: 1 images found in 1 classes",
        f"{tmp_path}: 3 images found in 2 classes",
    ]


def test_a_class_of_other_files_only_is_named(tmp_path):
    with pytest.raises(InputError, match="no images in b; expected one folder of images per class"):
        build_index(tmp_path, iter([("a", ["1.jpg"]), ("b", ["readme.txt"])]))


def test_names_that_are_not_text_are_kept(tmp_path):
    name = os.fsdecode(b"\xff\xfe.jpg")
    assert os.fsencode(build_index(tmp_path, iter([("a", [name])])).path(0).name) == b"\xff\xfe.jpg"
    assert np.array_equal(build_index(tmp_path, iter([("a", [name])])).ends, [6])
