"""A folder of values for later processes: complete or not at all, private, and of limited size."""

import os
import sys

import pytest

from hasnn_jax.common import kept_values
from hasnn_jax.common.fingerprints import code_digest, digest, script_digest

VALUE = {"numbers": [1, 2.5, None], "bytes": bytearray(b"abc")}


def key(number):
    return digest(number)


def test_what_is_written_is_read(tmp_path):
    folder = tmp_path / "new" / "folder"
    assert kept_values.read(folder, key(1)) is None
    kept_values.write(folder, key(1), VALUE)
    assert kept_values.read(folder, key(1)) == VALUE
    assert kept_values.read(folder, key(2)) is None
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"", b"short", bytes(200), None], ids=["empty", "short", "zeros", "changed"])
def test_a_damaged_file_is_no_value_and_is_replaced(tmp_path, content):
    kept_values.write(tmp_path, key(1), VALUE)
    file = tmp_path / key(1)
    file.write_bytes(file.read_bytes()[:-1] + b"x" if content is None else content)
    assert kept_values.read(tmp_path, key(1)) is None
    kept_values.write(tmp_path, key(1), VALUE)
    assert kept_values.read(tmp_path, key(1)) == VALUE


def test_a_folder_that_cannot_be_written_costs_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    for number in range(3):
        kept_values.write(tmp_path / "file" / "folder", key(number), VALUE)
    assert capsys.readouterr().err.count("nothing can be kept in") == 1


def test_what_was_not_used_for_longest_makes_room(tmp_path, monkeypatch):
    for number in range(3):
        kept_values.write(tmp_path, key(number), VALUE)
        os.utime(tmp_path / key(number), (number, number))
    assert kept_values.read(tmp_path, key(0)) == VALUE  # used again
    monkeypatch.setattr(kept_values, "LARGEST_FOLDER", 3 * (tmp_path / key(0)).stat().st_size)
    kept_values.write(tmp_path, key(3), VALUE)
    assert {file.name for file in tmp_path.iterdir()} == {key(0), key(2), key(3)}


def test_only_its_own_files_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_values, "LARGEST_FOLDER", 0)
    kept_values.write(tmp_path, key(0), VALUE)
    (tmp_path / f".{key(5)}.tmp").write_bytes(b"left by a process that was killed")
    for name in ("notes", ".hidden.tmp", "f" * 63):
        (tmp_path / name).write_text("mine")
    (tmp_path / "folder").mkdir()
    kept_values.write(tmp_path, key(1), VALUE)
    assert {file.name for file in tmp_path.iterdir()} == {"notes", ".hidden.tmp", "f" * 63, "folder", key(1)}


def test_a_private_folder_is_this_users_alone(tmp_path):
    assert kept_values.is_private(tmp_path / "none yet")
    for mode, private in ((0o700, True), (0o755, True), (0o775, False), (0o777, False)):
        tmp_path.chmod(mode)
        assert kept_values.is_private(tmp_path) == private
    tmp_path.chmod(0o700)
    (tmp_path / "link").symlink_to(tmp_path)
    assert not kept_values.is_private(tmp_path / "link")
    (tmp_path / "file").touch()
    assert not kept_values.is_private(tmp_path / "file")


def test_the_digest_of_code_is_that_of_names_and_contents(tmp_path):
    found = {code_digest(tmp_path)}
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("x = 1")
    found.add(code_digest(tmp_path))
    (tmp_path / "room" / "notes.txt").write_text("not code")
    assert code_digest(tmp_path) in found
    (tmp_path / "room" / "a.py").write_text("x = 2")
    found.add(code_digest(tmp_path))
    (tmp_path / "room" / "a.py").rename(tmp_path / "room" / "b.py")
    found.add(code_digest(tmp_path))
    assert len(found) == 4


def test_the_digest_of_the_script_is_that_of_its_content(tmp_path, monkeypatch):
    main = sys.modules["__main__"]
    found = set()
    for content in ("x = 1", "x = 2", "x = 2"):
        (tmp_path / "script.py").write_text(content)
        monkeypatch.setattr(main, "__file__", str(tmp_path / "script.py"), raising=False)
        found.add(script_digest())
    assert len(found) == 2
    monkeypatch.delattr(main, "__file__")
    assert script_digest() is None
