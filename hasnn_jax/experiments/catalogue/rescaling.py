"""The order-aware gradient rescaling, and which of its two factors matters."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant

KEY = "model.spiking.rescaling"


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """With and without."""
    return (
        Variant("order_aware", {}, "F_k = k / 2^(7-k)"),
        Variant("none", {KEY: "none"}, "F_k = 1"),
    )


EXPERIMENT = Experiment(
    name="rescaling",
    question="Does it matter that plane k's surrogate gradient is multiplied by F_k = k / 2^(7-k), and what of it?",
    paper="without order-aware rescaling the accuracy on CIFAR-100 falls from about 79 % to about 24 %.",
    baseline="order_aware",
    variants=variants,
)
