"""Model names: `create_model("has8_resnet_b32_m2_d4", num_classes=100)`."""

import re
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import look_up, unknown_name
from hasnn_jax.models.efficientnet import HybridEfficientNet
from hasnn_jax.models.hybrid import Kernels, LayerFactory, Path, Remat
from hasnn_jax.models.mobilenet import HybridMobileNetV2
from hasnn_jax.models.resnet import STAGE_SIZES, BlockKind, HybridResNet, StemKind
from hasnn_jax.models.specs import AS_DESCRIBED, SpikingSpec
from hasnn_jax.models.vgg import HybridVGG

# The listed names are those of the paper and similar ones; every width, multiplier and VGG depth is accepted.
_MOBILE: dict[str, type[HybridMobileNetV2] | type[HybridEfficientNet]] = {
    "has8_mobilenetv2": HybridMobileNetV2,
    "has8_efficientnet_b0": HybridEfficientNet,
}
_PAPER_NAMES = ("has8_resnet_b32_m2_d4", "has8_resnet_b64_m2_d4", "has8_vgg_b16_m2_d4", "has8_vgg_b24_m2_d4")
_DEEPER_NAMES = tuple(f"has8_resnet{depth}_b{width}" for depth in STAGE_SIZES for width in (32, 64) if depth != 18)
_RESNET18 = re.compile(r"has8_resnet_b(\d+)_m2_d4")
_RESNET = re.compile(r"has8_resnet(\d+)_b(\d+)")
_VGG = re.compile(r"has8_vgg_b(\d+)_m(\d+)_d(\d+)")
_MOBILE_WIDTH = re.compile(rf"({'|'.join(_MOBILE)})(?:_(\d{{3}}))?")


def list_models() -> list[str]:
    """The model names, sorted. The paper's HAS-8-ResNet[b32-m2-d4] is "has8_resnet_b32_m2_d4", for example.

    `create_model` also accepts names of the same pattern with another width, multiplier or VGG depth.
    """
    return sorted((*_PAPER_NAMES, *_DEEPER_NAMES, *_MOBILE))


def create_model(
    name: str,
    num_classes: int,
    *,
    spiking: SpikingSpec = AS_DESCRIBED,
    paths: Sequence[Path] = ("ann", "snn"),
    stem: StemKind = "imagenet",
    statistics_group: int | None = None,
    dtype: Any = jnp.float32,
    remat: Remat = "none",
    kernels: Kernels = "pallas",
) -> HybridResNet | HybridVGG | HybridMobileNetV2 | HybridEfficientNet:
    """Creates a model by name.

    Args:
      name: one of `list_models()`, or the same pattern with other numbers: "has8_resnet_b8_m2_d4" (depth 18),
        "has8_resnet50_b16", "has8_vgg_b4_m2_d2", "has8_mobilenetv2_035" (width 0.35), "has8_efficientnet_b0_050".
      num_classes: number of logits, 1 or more.
      spiking: coding, neuron and decoder: AS_DESCRIBED, AS_RELEASED or a variant of them.
      paths: ("ann", "snn") is the hybrid, ("ann",) and ("snn",) are the pure baselines.
      stem: "imagenet", or "small" for images of 64 pixels or less, which keeps the early layers' resolution. A VGG has
        no choice.
      statistics_group: how many consecutive examples share BatchNorm statistics and value range; None for all.
      dtype: of convolutions and linear layers. Parameters, statistics and membranes stay float32.
      remat: what is kept of a block for the backward pass: "none", "spikes" or "block"; see `LayerFactory`.
      kernels: what trains the first layers on GPUs in bfloat16: "pallas" or "xla"; see `LayerFactory`.

    Returns:
      A Flax module: images [B, H, W, C] in [0, 1] -> logits [B, num_classes].

    Raises:
      InputError: the name is unknown (the message suggests the nearest valid one) or a value is out of range.
    """
    if num_classes < 1:
        raise InputError(f"num_classes: expected 1 or more, got {num_classes}")
    if statistics_group is not None and statistics_group < 1:
        raise InputError(f"statistics_group: expected 1 or more examples, or None for all; got {statistics_group}")
    if isinstance(paths, str):
        raise InputError(f"paths: expected a sequence such as ('ann', 'snn') or ('ann',), got the text {paths!r}")
    look_up("stem", stem, {"imagenet": None, "small": None})
    layers = LayerFactory(tuple(paths), spiking, statistics_group, dtype, remat, kernels)
    if match := _VGG.fullmatch(name):
        base_width, multiplier, depth = _positive(name, *match.groups())
        if stem != "imagenet":
            raise InputError(f"stem: {name} is a VGG and has no stem to choose; leave it at 'imagenet'")
        return HybridVGG(num_classes, base_width, multiplier, depth, layers)
    if match := _MOBILE_WIDTH.fullmatch(name):
        (hundredths,) = _positive(name, match[2] or "100")
        return _MOBILE[match[1]](num_classes, hundredths / 100, stem=stem, layers=layers)
    if match := _RESNET18.fullmatch(name):
        depth, (base_width,) = 18, _positive(name, *match.groups())
    elif match := _RESNET.fullmatch(name):
        depth, base_width = _positive(name, *match.groups())
    else:
        raise unknown_name("model", name, list_models())
    if depth not in STAGE_SIZES:
        raise unknown_name("model", name, list_models())
    block: BlockKind = "basic" if depth < 50 else "bottleneck"
    if block == "bottleneck" and base_width < 8:
        raise InputError(f"model {name!r}: a bottleneck's inner width is int(b * b / 64); expected b of 8 or more")
    return HybridResNet(num_classes, STAGE_SIZES[depth], block, base_width, stem, layers)


def _positive(name: str, *digits: str) -> list[int]:
    numbers = [int(n) for n in digits]
    if 0 in numbers:
        raise InputError(f"model {name!r}: widths, multipliers and depths must be 1 or more")
    return numbers
