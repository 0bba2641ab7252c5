"""The hybrid against its paths alone, and against ANNs that cost as much."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant
from hasnn_jax.experiments.widths import matching_ann


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """The hybrid, its two paths, and two wider ANNs."""
    ann = {"model.paths": ("ann",)}
    names = matching_ann(base, ("parameters", "macs"))
    of_size = Variant("ann_of_its_size", {**ann, "model.name": names["parameters"]}, "ANN of as many parameters")
    of_macs = Variant(
        "ann_of_its_macs", {**ann, "model.name": names["macs"]}, "ANN of as many dense multiply-accumulates"
    )
    return (
        Variant("hybrid", {}, "both paths"),
        Variant("ann", ann, "the hybrid's ANN path alone"),
        Variant("snn", {"model.paths": ("snn",)}, "the hybrid's spiking path alone"),
        of_size,
        of_macs,
    )


EXPERIMENT = Experiment(
    name="hybrid_vs_pure",
    question="Is the hybrid better than its paths alone, and than an ANN of as many parameters or operations?",
    paper="HAS-8-ResNet[b32-m2-d4], a hybrid, reaches 79.20 % on CIFAR-100, and the best hybrid 52.30 % on ImageNet.",
    baseline="hybrid",
    variants=variants,
    context="For context, from other publications and not ranked with the numbers here, since models, data and recipes "
    "differ: on ImageNet, a pure ResNet-18 is at 69.76 %, SEW-ResNet-18 at 63.18 % (T = 4), Spiking-ResNet-18 at "
    "62.32 % and QKFormer-10-384 at 78.80 %.",
    tradeoff=True,
)
