"""A PyTorch twin of HAS-8-ResNet and HAS-8-VGG as their authors released them, built with SpikingJelly's layers.

`hasnn_jax` is compared with this twin. `HybridResNet` and `HybridVGG` have the same logits, gradients and BatchNorm
buffers as `hasnn_jax.create_model(..., spiking=hasnn_jax.AS_RELEASED)`. Their state dicts use the release's names, so
`hasnn_jax.interop.torch_weights` converts weights in both directions. Arrays are [B, C, H, W], or [T, B, C, H, W] with
a time axis. The bit-plane coding is in `torch_twin_coding`.

Needs `torch` and `spikingjelly` (`pip install hasnn_jax[peers]`).
"""

import itertools
import math
from collections.abc import Callable, Sequence

from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based import surrogate as spike_surrogate
from torch import Tensor, nn
from torch_twin_coding import BitPlanes, SurrogateDerivative, decode, fourier_sine, to_unit_range

STEM_WIDTH = 64
EXPANSION = 4  # output width of a bottleneck block, divided by the width of its stage


def lif() -> nn.Module:
    """The release's neuron. SpikingJelly's defaults: threshold 1, hard reset to 0, gradient through the reset."""
    return neuron.LIFNode(tau=2.0, decay_input=True, surrogate_function=spike_surrogate.ATan(alpha=2.0))


class Hybrid(nn.Module):
    """Sum of an ANN path and a decoded SNN path over the same input; the two submodules have the release's names."""

    def __init__(self, snn_name: str, snn: nn.Module, ann_name: str, ann: nn.Module, surrogate: SurrogateDerivative):
        super().__init__()
        self.names = snn_name, ann_name
        self.surrogate = surrogate
        self.add_module(snn_name, snn)
        self.add_module(ann_name, ann)

    def forward(self, x: Tensor) -> Tensor:
        snn, ann = (self.get_submodule(name) for name in self.names)
        planes = BitPlanes.apply(255 * to_unit_range(x), self.surrogate)
        return ann(x) + decode(snn(planes))


class StemPath(nn.Module):
    """conv 7x7/2 - norm - activation - pool 3x3/2. `kit` is `torch.nn` or SpikingJelly's `layer`."""

    def __init__(self, kit, in_channels: int, activation: nn.Module, pool: nn.Module):
        super().__init__()
        self.init_conv = nn.Sequential(
            kit.Conv2d(in_channels, STEM_WIDTH, 7, stride=2, padding=3, bias=False),
            kit.BatchNorm2d(STEM_WIDTH),
            activation,
            pool,
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.init_conv(x)


class ResidualPath(nn.Module):
    """One path of a block: a branch of convolutions, norms and activations, plus a shortcut.

    The ANN path applies its activation to the sum of branch and shortcut, the SNN path to each of the two.
    """

    def __init__(self, kit, in_channels: int, convs: Sequence[tuple[int, int, int]]):
        super().__init__()
        spiking = kit is layer
        make_activation = lif if spiking else nn.ReLU
        make_branch_activation = lif if spiking else nn.Identity
        out_channels = convs[-1][0]
        self.branch: list[str] = []
        channels = in_channels
        for i, (width, kernel, stride) in enumerate(convs, start=1):
            conv = kit.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
            activation = make_activation() if i < len(convs) else make_branch_activation()
            for name, module in (("conv", conv), ("bn", kit.BatchNorm2d(width)), ("activation", activation)):
                self.add_module(f"{name}{i}", module)
                self.branch.append(f"{name}{i}")
            channels = width
        stride = math.prod(stride for _, _, stride in convs)
        self.downsample = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                kit.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                kit.BatchNorm2d(out_channels),
                make_branch_activation(),
            )
        self.sum_activation = nn.Identity() if spiking else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for name in self.branch:
            out = self.get_submodule(name)(out)
        return self.sum_activation(out + self.downsample(x))


class HybridResNet(nn.Module):
    """HAS-8-ResNet: images [B, C, H, W] in [0, 1] -> logits [B, num_classes].

    Every call starts with all membranes at 0.

    Args:
      num_classes, stage_sizes, base_width: same as in `hasnn_jax.models.HybridResNet`.
      block: "basic" or "bottleneck".
      in_channels: number of image channels.
      surrogate: derivative of the planes: `fourier_sine`, `sig_sine` or `tanh_sine` of `torch_twin_coding`.
    """

    def __init__(
        self,
        num_classes: int,
        stage_sizes: Sequence[int] = (2, 2, 2, 2),
        block: str = "basic",
        base_width: int = 32,
        in_channels: int = 3,
        surrogate: SurrogateDerivative = fourier_sine,
    ):
        super().__init__()
        ann_stem = StemPath(nn, in_channels, nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))
        snn_stem = StemPath(layer, in_channels, lif(), layer.AvgPool2d(3, stride=2, padding=1))
        self.init_conv = Hybrid("snn_init_conv", snn_stem, "ann_init_conv", ann_stem, surrogate)
        name = "basic_block" if block == "basic" else "bottleneck"
        channels = STEM_WIDTH
        for stage, blocks in enumerate(stage_sizes):
            width = base_width * 2**stage
            hybrids = []
            for i in range(blocks):
                convs = block_convs(block, width, base_width, stride=2 if stage > 0 and i == 0 else 1)
                ann, snn = ResidualPath(nn, channels, convs), ResidualPath(layer, channels, convs)
                hybrids.append(Hybrid(f"snn_{name}", snn, f"ann_{name}", ann, surrogate))
                channels = convs[-1][0]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*hybrids))
        self.stages = [f"layer{stage + 1}" for stage in range(len(stage_sizes))]
        self.fc = nn.Linear(channels, num_classes)
        functional.set_step_mode(self, "m")

    def forward(self, images: Tensor) -> Tensor:
        functional.reset_net(self)
        x = self.init_conv(images)
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.fc(x.mean(dim=(2, 3)))


def block_convs(block: str, width: int, base_width: int, stride: int) -> list[tuple[int, int, int]]:
    """(channels, kernel, stride) of each convolution of a block in a stage of this width."""
    if block == "basic":
        return [(width, 3, stride), (width, 3, 1)]
    inner = int(width * base_width / 64)
    return [(inner, 1, 1), (inner, 3, stride), (EXPANSION * width, 1, 1)]


class Chain(nn.Module):
    """A sequence of layers as a submodule with the given name."""

    def __init__(self, name: str, *layers: nn.Module):
        super().__init__()
        self.name = name
        self.add_module(name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.name)(x)


class HybridVGG(nn.Module):
    """HAS-8-VGG[b, m, d]: images [B, C, H, W] in [0, 1] -> logits [B, num_classes].

    Every call starts with all membranes at 0.

    Args:
      num_classes, base_width, multiplier, depth: same as in `hasnn_jax.models.HybridVGG`.
      in_channels: number of image channels.
      surrogate: derivative of the planes, as above.
    """

    def __init__(
        self,
        num_classes: int,
        base_width: int = 16,
        multiplier: int = 2,
        depth: int = 4,
        in_channels: int = 3,
        surrogate: SurrogateDerivative = fourier_sine,
    ):
        super().__init__()
        hybrids: list[nn.Module] = []
        channels = in_channels
        for i in range(depth + 1):
            width = in_channels * base_width * multiplier**i
            spiking = self._conv_block(layer, channels, width, lif(), norm_momentum=0.1**0.5)
            plain = self._conv_block(nn, channels, width, nn.LeakyReLU(0.01), norm_momentum=0.1)
            hybrids.append(self._hybrid(spiking, plain, surrogate))
            channels = width
        spiking = self._head(layer, channels, num_classes, lif)
        plain = self._head(nn, channels, num_classes, lambda: nn.LeakyReLU(0.01))
        head = self._hybrid(spiking, plain, surrogate)
        self.dv = nn.Sequential(*hybrids, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        functional.set_step_mode(self, "m")

    @staticmethod
    def _conv_block(kit, channels: int, width: int, activation: nn.Module, norm_momentum: float) -> list[nn.Module]:
        conv = kit.Conv2d(channels, width, 3, padding=1, bias=False)
        return [conv, kit.BatchNorm2d(width, momentum=norm_momentum), activation, kit.AvgPool2d(2)]

    @staticmethod
    def _head(kit, channels: int, num_classes: int, make_activation: Callable[[], nn.Module]) -> list[nn.Module]:
        widths = (channels, 1024, 512, num_classes)
        pairs = ((kit.Linear(a, b), make_activation()) for a, b in itertools.pairwise(widths))
        return list(itertools.chain.from_iterable(pairs))

    @staticmethod
    def _hybrid(spiking: list[nn.Module], plain: list[nn.Module], surrogate: SurrogateDerivative) -> Hybrid:
        return Hybrid("sdv_block", Chain("sdv", *spiking), "adv_block", Chain("adv", *plain), surrogate)

    def forward(self, images: Tensor) -> Tensor:
        functional.reset_net(self)
        return self.dv(images)
