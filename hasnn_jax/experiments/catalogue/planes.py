"""How many bit planes the spiking path needs."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """The n highest planes, n = 8 down to 1."""
    fewer = [
        Variant(f"planes_{n}", {"model.spiking.planes": n}, f"the {n} highest planes" if n > 1 else "the highest plane")
        for n in range(7, 0, -1)
    ]
    return (Variant("planes_8", {"model.spiking.planes": 8}, "all planes"), *fewer)


EXPERIMENT = Experiment(
    name="planes",
    question="How does accuracy depend on how many of the highest bit planes are kept, each being one time step?",
    paper="all eight planes are used.",
    baseline="planes_8",
    variants=variants,
)
