"""`hasnn convert`: state-dict files to weights for training, and back."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from release_parameters import release_parameters

import hasnn_jax
from hasnn_jax.checkpoints.weights import load_weights
from hasnn_jax.commands.main import main
from hasnn_jax.interop.state_dict_files import read_state_dict

VGG = ("--model", "has8_vgg_b2_m2_d2", "--num_classes", "10")


@pytest.fixture
def release_file(tmp_path):
    """The golden VGG's state dict, with counters that are not 0, as a file."""
    state_dict = release_parameters("vgg_b2_m2_d2")
    state_dict |= {name: np.array(41 + i) for i, name in enumerate(state_dict) if "num_batches" in name}
    file = tmp_path / "released.safetensors"
    safetensors.numpy.save_file(state_dict, file)
    return file


def convert(*arguments):
    main(["convert", *map(str, arguments)])


def left_behind(folder):
    return {path.name for path in folder.iterdir()}


def test_a_state_dict_survives_the_way_there_and_back_bit_by_bit(release_file, tmp_path, capsys):
    convert(release_file, tmp_path / "weights", *VGG)
    convert(tmp_path / "weights", tmp_path / "back.safetensors")

    there, back = read_state_dict(release_file), read_state_dict(tmp_path / "back.safetensors")
    assert there.keys() == back.keys()
    for name, array in there.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape), name
        assert back[name].tobytes() == array.tobytes(), name
    assert left_behind(tmp_path) == {"released.safetensors", "weights", "back.safetensors"}
    printed = capsys.readouterr().out
    assert "--config.model.name=has8_vgg_b2_m2_d2 --config.model.spiking.spec=as_released " in printed
    assert f"--config.model.init_from={tmp_path / 'weights'}" in printed


def test_class_names_and_image_size_are_stored_for_predict(release_file, tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(f"class {i}" for i in range(10)))
    convert(release_file, tmp_path / "weights", *VGG, "--classes", tmp_path / "names.txt", "--image_size", "16")
    model = hasnn_jax.load(tmp_path / "weights")
    assert model.classes == tuple(f"class {i}" for i in range(10))
    assert (model.image_shape, model.depends_on_batch) == ((16, 16, 3), True)

    (tmp_path / "names.txt").write_text("one\ntwo\n")
    with pytest.raises(SystemExit, match="class names: expected 10, got 2"):
        convert(release_file, tmp_path / "again", *VGG, "--classes", tmp_path / "names.txt")
    assert not (tmp_path / "again").exists()


def test_the_command_prints_what_it_wrote_and_nothing_else(release_file, tmp_path):
    command = [sys.executable, "-m", "hasnn_jax", "convert", str(release_file), str(tmp_path / "out"), *VGG]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'out'}: 1,118,032 parameters of has8_vgg_b2_m2_d2, 10 classes")
    assert done.stderr == ""
    assert load_weights(tmp_path / "out")[1]["name"] == "has8_vgg_b2_m2_d2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "has8_vgg_b2_m2_d3", "--num_classes", "10"), r"does not fit this HybridVGG \(\d+ names"),
        (("--model", "has8_resnet10_b8", "--num_classes", "10"), "does not fit this HybridResNet"),
        (("--model", "has8_vgg_b2_m2_d2", "--num_classes", "100"), r"dense|expected \(100, 512\), got \(10, 512\)"),
        (("--model", "has8_vgg_b2_m2_dd", "--num_classes", "10"), "unknown model 'has8_vgg_b2_m2_dd'"),
        (("--num_classes", "10"), "--model and --num_classes: expected"),
    ],
)
def test_weights_of_another_model_are_refused_and_nothing_is_written(arguments, message, release_file, tmp_path):
    with pytest.raises(SystemExit, match=message):
        convert(release_file, tmp_path / "out", *arguments)
    assert left_behind(tmp_path) == {release_file.name}


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.5, 0.999])
def test_a_truncated_file_is_refused_and_nothing_is_written(share, release_file, tmp_path):
    content = release_file.read_bytes()
    release_file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SystemExit, match=rf"{re.escape(str(release_file))}: is (empty|truncated or no safetensors)"):
        convert(release_file, tmp_path / "out", *VGG)
    assert left_behind(tmp_path) == {release_file.name}


def test_what_exists_is_not_overwritten(release_file, tmp_path):
    (tmp_path / "weights").mkdir()
    with pytest.raises(SystemExit, match="exists already; remove it, or choose another name"):
        convert(release_file, tmp_path / "weights", *VGG)
    convert(release_file, tmp_path / "other", *VGG)
    with pytest.raises(SystemExit, match="exists already"):
        convert(tmp_path / "other", release_file)


def test_a_full_disk_leaves_no_half_written_file(release_file, tmp_path, monkeypatch):
    convert(release_file, tmp_path / "weights", *VGG)

    def fills_up(state_dict, path, **_):
        pathlib.Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", fills_up)
    with pytest.raises(SystemExit, match="No space left on device"):
        convert(tmp_path / "weights", tmp_path / "back.safetensors")
    assert left_behind(tmp_path) == {release_file.name, "weights"}


def test_a_wrong_name_or_number_of_classes_is_refused_on_the_way_back(release_file, tmp_path):
    convert(release_file, tmp_path / "weights", *VGG)
    with pytest.raises(SystemExit, match="holds weights with num_classes 10, not 11"):
        convert(tmp_path / "weights", tmp_path / "back.safetensors", "--num_classes", "11")
    with pytest.raises(SystemExit, match=r"holds weights with name 'has8_vgg_b2_m2_d2', not 'has8_vgg_b4_m2_d2'"):
        convert(tmp_path / "weights", tmp_path / "back.safetensors", "--model", "has8_vgg_b4_m2_d2")


def test_unknown_formats_and_missing_files_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"w\.bin: expected a name ending in \.pt, \.pth, \.safetensors"):
        convert(tmp_path / "w.bin", tmp_path / "out", *VGG)
    with pytest.raises(SystemExit, match=r"w\.safetensors: no such file"):
        convert(tmp_path / "w.safetensors", tmp_path / "out", *VGG)


def test_prefixes_of_parallel_wrappers_are_taken_off(tmp_path):
    state_dict = {f"module.{name}": array for name, array in release_parameters("vgg_b2_m2_d2").items()}
    safetensors.numpy.save_file(state_dict, tmp_path / "wrapped.safetensors")
    assert read_state_dict(tmp_path / "wrapped.safetensors").keys() == release_parameters("vgg_b2_m2_d2").keys()
