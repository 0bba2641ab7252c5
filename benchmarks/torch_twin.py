"""A PyTorch twin of HAS-8-ResNet and HAS-8-VGG as their authors released them, on SpikingJelly's layers.

It is what `hasnn_jax` is timed against and compared with: `HybridResNet` and `HybridVGG` here equal
`hasnn_jax.create_model(..., spiking=hasnn_jax.AS_RELEASED)` in logits, gradients and BatchNorm buffers, and
their state dicts have the release's names, so `hasnn_jax.interop.torch_weights` moves weights either way.
Arrays are [B, C, H, W], over time [T, B, C, H, W].

Needs `torch` and `spikingjelly` (`pip install hasnn_jax[peers]`).
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based import surrogate as spike_surrogate
from torch import Tensor, nn

PLANES = 8
STEM_WIDTH = 64
EXPANSION = 4  # of a bottleneck's outer width over its stage's

SurrogateDerivative = Callable[[Tensor, float], Tensor]
"""(value in 0..255, half period 2^k of plane k) -> derivative of the plane's smooth stand-in."""


def fourier_sine(value: Tensor, half_period: float, order: int = 5, offset: float = 0.5) -> Tensor:
    """Derivative of a Fourier series cut after `order` odd harmonics, plus a constant."""
    harmonics = (torch.cos(value * (n * math.pi / half_period)) for n in range(1, 2 * order, 2))
    return offset - 2 / half_period * sum(harmonics)


def sig_sine(value: Tensor, half_period: float, alpha: float = -10.0) -> Tensor:
    """Derivative of sigmoid(alpha sin(pi value / half_period))."""
    inner, slope = _sine(value, half_period, alpha)
    return torch.sigmoid(inner) * torch.sigmoid(-inner) * slope


def tanh_sine(value: Tensor, half_period: float, alpha: float = -10.0) -> Tensor:
    """Derivative of (1 + tanh(alpha sin(pi value / half_period))) / 2."""
    inner, slope = _sine(value, half_period, alpha)
    return slope / (2 * torch.cosh(inner) ** 2)


def _sine(value, half_period, alpha):
    frequency = math.pi / half_period
    return alpha * torch.sin(frequency * value), alpha * frequency * torch.cos(frequency * value)


class BitPlanes(torch.autograd.Function):
    """Values in 0..255, [...] -> planes [8, ...], the least significant first and with its fraction kept.

    Backward, plane k's gradient meets the surrogate's derivative times k / 2^(7 - k); of values [B, C], as in the VGG's
    head, the release sums gradients and derivatives over the planes each for itself, and multiplies the sums.
    """

    @staticmethod
    def forward(ctx, value, surrogate):
        ctx.save_for_backward(value)
        ctx.surrogate = surrogate
        halved = [torch.floor(value / 2**k) for k in range(1, PLANES)]
        return torch.stack([value, *halved]) % 2

    @staticmethod
    def backward(ctx, gradient):
        (value,) = ctx.saved_tensors
        pooled = gradient.sum(0) if value.dim() == 2 else None
        total = torch.zeros_like(value)
        for k in range(1, PLANES):  # plane 0's factor is 0
            received = gradient[k] if pooled is None else pooled
            total += received * ctx.surrogate(value, 2.0**k) * (k / 2 ** (PLANES - 1 - k))
        return total, None


def to_unit_range(x: Tensor) -> Tensor:
    """Values in [0, 1] as they are; others mapped by the minimum and maximum of the whole tensor."""
    low, high = x.min(), x.max()
    if low >= 0 and high <= 1:
        return x
    return torch.ones_like(x) if low == high else (x - low) / (high - low)


def decode(spikes: Tensor) -> Tensor:
    """Spikes [8, ...] -> [...]: the first step weighs 128, the last 1, all divided by 255."""
    weights = 2.0 ** torch.arange(PLANES - 1, -1, -1, dtype=spikes.dtype, device=spikes.device)
    return torch.tensordot(weights, spikes, dims=1) / 255


def lif() -> nn.Module:
    """The release's neuron; its defaults elsewhere: threshold 1, hard reset to 0, gradient through the reset."""
    return neuron.LIFNode(tau=2.0, decay_input=True, surrogate_function=spike_surrogate.ATan(alpha=2.0))


class Hybrid(nn.Module):
    """Sum of an ANN path and a decoded SNN path over one input, under the release's two names."""

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
    """Convolutions with norms and activations beside a shortcut; one path of a block.

    The ANN path activates the sum of branch and shortcut, the SNN path each of the two.
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

    Every call starts its neurons from a membrane of 0.

    Args:
      num_classes, stage_sizes, base_width: as in `hasnn_jax.models.HybridResNet`.
      block: "basic" or "bottleneck".
      in_channels: of the images.
      surrogate: derivative of the encoder's planes: `fourier_sine`, `sig_sine` or `tanh_sine`.
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
    """(channels, kernel, stride) of a block's convolutions in a stage of this width."""
    if block == "basic":
        return [(width, 3, stride), (width, 3, 1)]
    inner = int(width * base_width / 64)
    return [(inner, 1, 1), (inner, 3, stride), (EXPANSION * width, 1, 1)]


class Chain(nn.Module):
    """Layers one after the other, under a name."""

    def __init__(self, name: str, *layers: nn.Module):
        super().__init__()
        self.name = name
        self.add_module(name, nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.name)(x)


class HybridVGG(nn.Module):
    """HAS-8-VGG[b, m, d]: images [B, C, H, W] in [0, 1] -> logits [B, num_classes].

    Every call starts its neurons from a membrane of 0.

    Args:
      num_classes, base_width, multiplier, depth: as in `hasnn_jax.models.HybridVGG`.
      in_channels: of the images.
      surrogate: derivative of the encoder's planes.
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
