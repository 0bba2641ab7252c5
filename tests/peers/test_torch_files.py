"""PyTorch's files are read without executing code, and written so that PyTorch can read them."""

import os
import re

import numpy as np
import pytest
from release_parameters import release_parameters

from hasnn_jax.commands.main import main
from hasnn_jax.common.errors import InputError
from hasnn_jax.interop.state_dict_files import read_state_dict, write_state_dict

torch = pytest.importorskip("torch")

VGG = ("--model", "has8_vgg_b2_m2_d2", "--num_classes", "10")


def convert(*arguments):
    main(["convert", *map(str, arguments)])


def tensors():
    return {name: torch.as_tensor(array) for name, array in release_parameters("vgg_b2_m2_d2").items()}


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_pytorch_file_survives_the_way_there_and_back(suffix, tmp_path):
    torch.save(tensors(), tmp_path / f"there{suffix}")
    convert(tmp_path / f"there{suffix}", tmp_path / "weights", *VGG)
    convert(tmp_path / "weights", tmp_path / f"back{suffix}")

    back = torch.load(tmp_path / f"back{suffix}", weights_only=True)
    assert back.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert back[name].dtype == tensor.dtype, name
        assert torch.equal(back[name], tensor), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_every_float_dtype_keeps_its_bits(dtype, suffix, tmp_path):
    tensor = torch.tensor([[1 / 3, -0.0], [1e-4, 700]], dtype=dtype)
    torch.save({"a": tensor.T, "b": tensor[0, 0]}, tmp_path / "there.pt")
    state_dict = read_state_dict(tmp_path / "there.pt")
    write_state_dict(tmp_path / f"back{suffix}", state_dict)
    again = read_state_dict(tmp_path / f"back{suffix}")

    assert again["a"].dtype.name == str(dtype).removeprefix("torch.")
    np.testing.assert_array_equal(again["a"].astype(np.float64), tensor.T.double().numpy())
    assert again["b"].shape == ()


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_weights_inside_a_training_checkpoint_are_found(wrapper, tmp_path):
    inside = {f"module.{name}": tensor for name, tensor in tensors().items()}
    torch.save({wrapper: inside, "epoch": 3}, tmp_path / "checkpoint.pt")
    assert read_state_dict(tmp_path / "checkpoint.pt").keys() == tensors().keys()


class RunsACommand:
    """Unpickling it would create a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_object_is_refused_and_not_executed(zipped, tmp_path):
    content = {**tensors(), "surprise": RunsACommand(str(tmp_path / "executed"))}
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(SystemExit, match=r"w\.pt: holds a Python object \(posix\.mkdir\), which could run code"):
        convert(tmp_path / "w.pt", tmp_path / "out", *VGG)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pt"]


def test_a_whole_pickled_model_is_refused_with_the_way_to_save_it(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"Linear\), which could run code .*; save model\.state_dict\(\) alone"):
        read_state_dict(tmp_path / "w.pt")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused_and_nothing_is_written(zipped, share, tmp_path):
    file = tmp_path / "w.pth"
    torch.save(tensors(), file, _use_new_zipfile_serialization=zipped)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        SystemExit, match=rf"{re.escape(str(file))}: is (empty|truncated or no PyTorch file); copy it again"
    ):
        convert(file, tmp_path / "out", *VGG)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.parametrize("content", [[1, 2], {"a": [1.0]}, {3: torch.ones(1)}, torch.ones(2)])
def test_anything_but_tensors_by_name_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match="expected tensors by name"):
        read_state_dict(tmp_path / "w.pt")


def test_random_bytes_are_no_pytorch_file(tmp_path):
    rng = np.random.default_rng(0)
    for length in (1, 10, 1000):
        (tmp_path / "w.pt").write_bytes(rng.bytes(length))
        with pytest.raises(InputError, match="is truncated or no PyTorch file"):
            read_state_dict(tmp_path / "w.pt")
