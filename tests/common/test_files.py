"""Files and folders appear complete or not at all."""

import os

import pytest

from hasnn_jax.common import files
from hasnn_jax.common.files import replacing


def test_a_file_is_replaced_at_once(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    seen = []
    replace = os.replace
    monkeypatch.setattr(files.os, "replace", lambda a, b: (seen.append(path.read_text()), replace(a, b)))
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert seen == ["old"]
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def fail_half_way(path):
    with replacing(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("stopped")


def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stopped"):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def write_folder(path):
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "part").write_text("whole")


def test_a_folder_appears_complete_and_what_a_killed_process_left_is_removed(tmp_path):
    path = tmp_path / "folder"
    leftover = path.with_name(".folder.tmp.orbax-checkpoint-tmp")  # Orbax writes beside the name that it is given
    for half in (path.with_name(".folder.tmp"), leftover):
        half.mkdir()
        (half / "half").write_text("")
    write_folder(path)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    assert [p.name for p in path.iterdir()] == ["part"]


def test_a_folder_that_has_content_is_not_replaced(tmp_path):
    write_folder(tmp_path / "folder")
    with pytest.raises(OSError, match="not empty"):
        write_folder(tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
