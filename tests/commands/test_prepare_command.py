"""`hasnn prepare`: what it prints, and how it ends."""

import os
import pathlib
import pty
import signal
import subprocess
import sys
import termios

import pytest
from PIL import Image

import hasnn_jax
from hasnn_jax.commands.command import run_command
from hasnn_jax.commands.prepare import COMMAND, summary
from hasnn_jax.common import progress
from hasnn_jax.common.progress import StageProgress
from hasnn_jax.data.prepare import PreparedDataset

pytest.importorskip("tensorflow_datasets")


def make_class_folders(root, counts):
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (4, 3), (i, i, i)).save(root / name / f"{i:03d}.png")
    return root


def run(capsys, *arguments):
    """Exit message (None: success), standard output and standard error of the command."""
    message = None
    try:
        run_command("prepare", COMMAND, [str(argument) for argument in arguments])
    except SystemExit as stop:
        message = stop.code
    return message, *capsys.readouterr()


def run_python(*arguments, stderr):
    """Runs Python with these arguments in a process of its own."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        stderr=stderr,
        stdout=subprocess.PIPE,
        cwd=pathlib.Path(hasnn_jax.__file__).parents[1],
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folders(tmp_path):
    return make_class_folders(tmp_path / "classes", {"disc": 5, "ring": 10, "clutter": 3})


def test_class_folders_become_a_data_set_and_a_command_that_trains_on_it(tmp_path, folders, capsys):
    message, out, err = run(
        capsys, "shapes", "--data_dir", tmp_path / "a b", "--folder", folders, "--exclude", "clutter"
    )

    assert message is None
    head, *table, command = out.splitlines()
    assert head.startswith("shapes: 12 train + 3 test images of 2 classes, ")
    assert head.endswith(f"B in {tmp_path}/a b/shapes/1.0.0")
    assert [line.split() for line in table] == [["train", "test"], ["disc", "4", "1"], ["ring", "8", "2"]]
    assert command == (
        "to train on it: hasnn train --config.data.source=tfds --config.data.name=shapes "
        f"--config.data.data_dir='{tmp_path}/a b' --config.data.num_classes=2"
    )
    assert "writing images: 15 of 15" in err


def test_many_classes_are_summarised_by_their_spread_and_the_smallest(tmp_path, capsys):
    folders = make_class_folders(tmp_path / "classes", {f"class{i:02d}": 10 + 10 * (i % 3) for i in range(22)})
    _, out, _ = run(capsys, "many", "--data_dir", tmp_path, "--folder", folders)
    _, title, train, test, _ = out.splitlines()

    assert title.split() == ["images", "per", "class", "min", "median", "max", "smallest"]
    assert train.split()[:6] == ["train", "8", "16", "24", "class00", "8,"]
    assert test.split()[:6] == ["test", "2", "4", "6", "class00", "2,"]


def test_a_name_with_a_configuration_is_given_whole_to_the_command_that_trains(tmp_path):
    folder = tmp_path / "pets" / "small" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "shard").write_bytes(bytes(1_234_567))
    dataset = PreparedDataset("pets/small", tmp_path, folder, ("cat",), {"train": [7], "test": [2]})

    head, *_, command = summary(dataset).splitlines()
    assert head == f"pets/small: 7 train + 2 test images of 1 classes, 1.2 MB in {folder}"
    assert f"--config.data.name=pets/small --config.data.data_dir={tmp_path} " in command


def test_the_same_command_again_leaves_a_complete_data_set_alone(tmp_path, folders, capsys):
    command = ("shapes", "--data_dir", tmp_path, "--folder", folders)
    first = run(capsys, *command)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "shapes").rglob("*")}
    message, out, err = run(capsys, *command)

    assert message is None
    assert out == first[1]
    assert err == f"{tmp_path}/shapes/1.0.0: already prepared; to prepare it again, delete it first\n"
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "shapes").rglob("*")} == before


PREPARE_AND_INTERRUPT = """
import signal, sys
from hasnn_jax.commands.main import main
from hasnn_jax.common.progress import StageProgress

def interrupt(progress, stage, done, total):
    if (stage, done) == ("writing images", 16):
        signal.raise_signal(signal.SIGINT)

StageProgress.__call__ = interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has a program in the background ignore it
main(sys.argv[1:])
"""


def test_an_interrupted_command_says_that_it_can_be_resumed_and_is(tmp_path, folders, capsys, monkeypatch):
    command = ("prepare", "shapes", "--data_dir", tmp_path, "--folder", folders)
    interrupted = run_python("-c", PREPARE_AND_INTERRUPT, *command, stderr=subprocess.PIPE)
    assert interrupted.returncode == -signal.SIGINT
    assert interrupted.stdout == ""
    assert interrupted.stderr == "hasnn prepare: interrupted; the same command continues where it stopped\n"
    # From another working directory and with another spelling of the path, it is still the same work.
    monkeypatch.chdir(folders.parent)
    (shard,) = (tmp_path / "shapes" / "1.0.0.incomplete").glob("shapes-train*")
    inode = shard.stat().st_ino
    message, _, _ = run(capsys, "shapes", "--data_dir", tmp_path, "--folder", folders.name)
    assert message is None
    assert (tmp_path / "shapes" / "1.0.0" / shard.name).stat().st_ino == inode


def test_an_unreadable_image_is_one_line_with_its_path(tmp_path, folders, capsys):
    (folders / "ring" / "003.png").write_bytes(b"")
    message, out, _ = run(capsys, "shapes", "--data_dir", tmp_path, "--folder", folders)

    assert message == f"hasnn prepare: {folders}/ring/003.png: is empty; replace or remove it"
    assert out == ""


def test_exclude_without_folder_is_refused(tmp_path, capsys):
    message, _, _ = run(capsys, "cifar10", "--data_dir", tmp_path, "--exclude", "cat")

    assert message == "hasnn prepare: --exclude: leaves out class folders, so it needs --folder"


def test_progress_is_a_line_now_and_then_without_a_terminal(capsys, monkeypatch):
    seconds = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    with StageProgress() as stages:
        for done in range(1, 18):
            stages("writing images", done, 17)

    shown = [int(line.split()[2]) for line in capsys.readouterr().err.splitlines()]
    assert shown[0] == 1
    assert shown[-1] == 17
    assert 3 < len(shown) < 9


def test_the_command_runs_and_shows_a_bar_on_a_terminal(tmp_path, folders):
    main_end, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = ("prepare", "shapes", "--data_dir", tmp_path, "--folder", folders)
    done = run_python("-m", "hasnn_jax", *command, stderr=terminal)
    os.close(terminal)

    assert done.returncode == 0
    assert done.stdout.startswith("shapes: 14 train + 4 test images of 3 classes, ")
    assert b"writing images: 100%|" in os.read(main_end, 65536)
