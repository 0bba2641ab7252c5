"""The recommended spec against the paper's, against the release's, and against the ANN path alone."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant

SPEC = "model.spiking.spec"


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """The three specs, the ANN path, and each of the two changes that make the recommended spec on its own."""
    order = {"model.spiking.plane_order": "lsb_first", "model.spiking.decoder": "bit_planes_lsb_first"}
    return (
        Variant("as_recommended", {SPEC: "as_recommended"}, "AS_RECOMMENDED"),
        Variant("ann", {"model.paths": ("ann",)}, "the ANN path alone"),
        Variant("as_described", {SPEC: "as_described"}, "AS_DESCRIBED"),
        Variant("as_released", {SPEC: "as_released"}, "AS_RELEASED"),
        Variant(
            "unit_gain",
            {SPEC: "as_described", "model.spiking.rescaling": "unit_gain"},
            "AS_DESCRIBED with a gradient that keeps its size",
        ),
        Variant(
            "order",
            {SPEC: "as_described", **order},
            "AS_DESCRIBED with the lowest plane first, decoded in that order",
        ),
    )


EXPERIMENT = Experiment(
    name="recommended",
    question="Is AS_RECOMMENDED better than AS_DESCRIBED, and no worse than the ANN path alone?",
    paper="",
    baseline="as_recommended",
    variants=variants,
    tradeoff=True,
)
