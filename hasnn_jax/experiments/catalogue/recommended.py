"""The recommended spec against the paper's, against the release's, and against the ANN path alone."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant

SPEC = "model.spiking.spec"


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """The three specs, the ANN path, and each of the changes that make the recommended spec left out of it."""
    recommended = {SPEC: "as_recommended"}
    order = {"model.spiking.plane_order": "msb_first", "model.spiking.decoder": "bit_planes"}
    return (
        Variant("as_recommended", recommended, "AS_RECOMMENDED"),
        Variant("ann", {"model.paths": ("ann",)}, "the ANN path alone"),
        Variant("as_described", {SPEC: "as_described"}, "AS_DESCRIBED"),
        Variant("as_released", {SPEC: "as_released"}, "AS_RELEASED"),
        Variant(
            "papers_rescaling",
            {**recommended, "model.spiking.rescaling": "order_aware"},
            "AS_RECOMMENDED with the paper's rescaling of the gradients",
        ),
        Variant("papers_order", {**recommended, **order}, "AS_RECOMMENDED with the highest plane first"),
        Variant("papers_sum", {**recommended, "model.spiking.gain": "one"}, "AS_RECOMMENDED without a learned gain"),
    )


EXPERIMENT = Experiment(
    name="recommended",
    question="Is AS_RECOMMENDED better than AS_DESCRIBED, and no worse than the ANN path alone?",
    paper="",
    baseline="as_recommended",
    variants=variants,
    tradeoff=True,
)
