"""State-dict files: PyTorch's `.pt` and `.pth`, read without executing code, and `.safetensors`."""

import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing

StateDict = dict[str, np.ndarray]
_WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which training scripts keep the weights


def is_state_dict_file(path: pathlib.Path) -> bool:
    """Whether the file's name ends as one of these formats does."""
    return path.suffix in _FORMATS


def read_state_dict(path: pathlib.Path) -> StateDict:
    """Reads arrays by name, in the file's own dtypes; bfloat16 is that of `ml_dtypes`.

    If the file holds a dict with the weights under "state_dict", "model_state_dict" or "model", these are read. The
    prefix "module." that PyTorch's parallel wrappers add to every name is removed.

    Raises:
      InputError: there is no such file, or it is truncated, has another format, or holds other things than tensors.
    """
    read, _ = _format_of(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if not path.stat().st_size:
        raise InputError(f"{path}: is empty; copy it again")
    state_dict = read(path)
    if state_dict and all(name.startswith("module.") for name in state_dict):
        return {name.removeprefix("module."): array for name, array in state_dict.items()}
    return state_dict


def write_state_dict(path: pathlib.Path, state_dict: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name; the file appears under its name when it is complete.

    Raises:
      InputError: the file exists.
    """
    _, write = _format_of(path)
    if path.exists():
        raise InputError(f"{path}: exists already; remove it, or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        write(temporary, {name: array.copy(order="C") for name, array in state_dict.items()})


def _read_torch(path: pathlib.Path) -> StateDict:
    torch = _torch()
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises errors of many kinds
        if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
            why = f"holds a Python object ({found[1]}), which could run code and was not loaded"
            raise InputError(f"{path}: {why}; save model.state_dict() alone") from None
        raise InputError(f"{path}: is truncated or no PyTorch file; copy it again") from None
    if isinstance(content, Mapping):
        content = next((content[k] for k in _WRAPPERS if isinstance(content.get(k), Mapping)), content)
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: expected tensors by name, as model.state_dict() gives; got {_kind(content)}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise InputError(
                f"{path}: expected tensors by name, as model.state_dict() gives; {name!r} is {_kind(value)}"
            )
    return {name: _array(torch, tensor) for name, tensor in content.items()}


def _array(torch, tensor) -> np.ndarray:
    if tensor.dtype != torch.bfloat16:
        return tensor.numpy()
    import ml_dtypes

    return tensor.contiguous().view(torch.uint16).numpy().view(ml_dtypes.bfloat16)


def _write_torch(path: pathlib.Path, state_dict: StateDict) -> None:
    torch = _torch()

    def tensor(array: np.ndarray):
        if array.dtype.name != "bfloat16":
            return torch.from_numpy(array)
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)

    torch.save({name: tensor(array) for name, array in state_dict.items()}, path)


def _torch():
    try:
        import torch
    except ImportError:
        raise InputError("reading and writing .pt and .pth takes PyTorch: pip install 'hasnn_jax[torch]'") from None
    return torch


def _read_safetensors(path: pathlib.Path) -> StateDict:
    safetensors = _safetensors()
    try:
        return safetensors.numpy.load_file(path)
    except (
        safetensors.SafetensorError,
        KeyError,
        TypeError,
    ) as error:  # the last two: dtypes that NumPy lacks
        raise InputError(f"{path}: is truncated or no safetensors file ({error}); copy it again") from None


def _write_safetensors(path: pathlib.Path, state_dict: StateDict) -> None:
    _safetensors().numpy.save_file(state_dict, path, metadata={"format": "pt"})


def _safetensors():
    try:
        import ml_dtypes  # noqa: F401 - tells NumPy what bfloat16 is
        import safetensors.numpy
    except ImportError:
        raise InputError("reading and writing .safetensors takes its package: pip install safetensors") from None
    return safetensors


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


_FORMATS: dict[str, tuple[Callable[[pathlib.Path], StateDict], Callable[[pathlib.Path, StateDict], None]]] = {
    ".pt": (_read_torch, _write_torch),
    ".pth": (_read_torch, _write_torch),
    ".safetensors": (_read_safetensors, _write_safetensors),
}


def _format_of(path: pathlib.Path):
    if path.suffix not in _FORMATS:
        raise InputError(f"{path}: expected a name ending in {', '.join(_FORMATS)}")
    return _FORMATS[path.suffix]
