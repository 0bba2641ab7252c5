"""HAS-8 on EfficientNet-B0 (Tan and Le, arXiv 1905.11946). Neither the paper nor the release has it."""

from flax import linen as nn

from hasnn_jax.models.inverted_residual import InvertedResidualNet, Stage

STAGES = (
    Stage(expansion=1, kernel=3, stride=1, features=16, blocks=1),
    Stage(expansion=6, kernel=3, stride=2, features=24, blocks=2),
    Stage(expansion=6, kernel=5, stride=2, features=40, blocks=2),
    Stage(expansion=6, kernel=3, stride=2, features=80, blocks=3),
    Stage(expansion=6, kernel=5, stride=1, features=112, blocks=3),
    Stage(expansion=6, kernel=5, stride=2, features=192, blocks=4),
    Stage(expansion=6, kernel=3, stride=1, features=320, blocks=1),
)


class HybridEfficientNet(InvertedResidualNet):
    """HAS-8-EfficientNet-B0: images [B, H, W, C] in [0, 1] -> logits [B, num_classes], float32 or wider.

    With `paths=("ann",)` it is EfficientNet-B0 with SiLU and squeeze-and-excitation: 4,007,548 parameters and 1,281 for
    each class, at width 1. Normalisations have the momentum and epsilon of the other families. For attributes see
    `InvertedResidualNet`.
    """

    stages: tuple[Stage, ...] = STAGES

    activation = staticmethod(nn.silu)
    gate = staticmethod(nn.sigmoid)
