"""HAS-8 on MobileNetV2 (Sandler et al., arXiv 1801.04381). Neither the paper nor the release has it."""

from flax import linen as nn

from hasnn_jax.models.inverted_residual import LAST_WIDTH, InvertedResidualNet, Stage, rounded_width

STAGES = (
    Stage(expansion=1, kernel=3, stride=1, features=16, blocks=1),
    Stage(expansion=6, kernel=3, stride=2, features=24, blocks=2),
    Stage(expansion=6, kernel=3, stride=2, features=32, blocks=3),
    Stage(expansion=6, kernel=3, stride=2, features=64, blocks=4),
    Stage(expansion=6, kernel=3, stride=1, features=96, blocks=3),
    Stage(expansion=6, kernel=3, stride=2, features=160, blocks=3),
    Stage(expansion=6, kernel=3, stride=1, features=320, blocks=1),
)


class HybridMobileNetV2(InvertedResidualNet):
    """HAS-8-MobileNetV2: images [B, H, W, C] in [0, 1] -> logits [B, num_classes], float32 or wider.

    With `paths=("ann",)` it is MobileNetV2 with ReLU6: 2,223,872 parameters and 1,281 for each class, at width 1.
    Widths below 1 keep the 1280 features of the last convolution, as published. For attributes see
    `InvertedResidualNet`.
    """

    stages: tuple[Stage, ...] = STAGES

    activation = staticmethod(nn.relu6)

    def last_width(self) -> int:
        return rounded_width(LAST_WIDTH, max(1.0, self.width))
