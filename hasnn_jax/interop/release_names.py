"""How the release's state-dict names correspond to this project's variables, for the release's two families."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from hasnn_jax.common.errors import InputError
from hasnn_jax.models import HybridResNet, HybridVGG, Model

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "count": "num_batches_tracked",
}


def require_released_family(model: Model) -> None:
    """Raises InputError for a model of a family that the release does not have."""
    if not isinstance(model, HybridResNet | HybridVGG):
        raise InputError(
            f"the release has ResNets and VGGs only, and no names for the weights of a {type(model).__name__}; "
            "expected a model such as has8_resnet_b32_m2_d4 or has8_vgg_b16_m2_d4"
        )


def release_name(model: Model, path: tuple[str, ...]) -> str | None:
    """The release's name for a variable, given its path without the collection; None if the release does not have it.

    The release has no tracked value ranges (`encoder/low`, `encoder/high`) and no gains of the spiking path.

    Raises:
      InputError: the release does not have the model's family.
    """
    require_released_family(model)
    *modules, leaf = path
    if leaf not in _LEAVES:
        return None
    if isinstance(model, HybridResNet):
        module = _resnet_module(model, modules)
    else:
        module = _vgg_module(cast(HybridVGG, model), modules)
    return f"{module}.{_LEAVES[leaf]}"


def _resnet_module(model: HybridResNet, modules: list[str]) -> str:
    if modules == ["classifier"]:
        return "fc"
    block, path, layer = modules
    if block == "stem":
        return f"init_conv.{path}_init_conv.init_conv.{0 if layer == 'conv' else 1}"
    stage, index = (int(n) for n in re.findall(r"\d+", block))
    kind = "basic_block" if model.block == "basic" else "bottleneck"
    layer = {"shortcut_conv": "downsample.0", "shortcut_norm": "downsample.1"}.get(layer, layer.replace("norm", "bn"))
    return f"layer{stage}.{index - 1}.{path}_{kind}.{layer}"


def _vgg_module(model: HybridVGG, modules: list[str]) -> str:
    block, path, layer = modules
    prefix = path[0] + "dv"  # "adv" or "sdv"
    if block == "head":
        # Between the blocks and the head the release counts its pooling and its flattening.
        index, position = model.depth + 3, 2 * (int(layer.removeprefix("dense")) - 1)
    else:
        index, position = int(block.removeprefix("block")) - 1, 0 if layer == "conv" else 1
    return f"dv.{index}.{prefix}_block.{prefix}.{position}"


def walk(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields (path, leaf) for a nested mapping."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from walk(value, (*path, key))
        else:
            yield (*path, key), value
