"""The order-aware gradient rescaling, and which of its two factors matters."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant, of_the_paper

KEY = "model.spiking.rescaling"

# F_k = gain k^order 2^(exponent (k - 7)).
# `variants` does not return them.
IN_BETWEEN = tuple(
    Variant(name, {KEY: f"power({arguments})"}, f"F_k = {formula}")
    for name, arguments, formula in (
        ("power_of_2_alone", "order=0.0, exponent=1.0", "2^(k-7)"),
        ("root_of_power_of_2", "order=0.0, exponent=0.5", "2^((k-7)/2)"),
        ("k_alone", "order=1.0, exponent=0.0", "k"),
        ("half_the_exponent", "order=1.0, exponent=0.5", "k 2^((k-7)/2)"),
        ("twice_the_exponent", "order=1.0, exponent=2.0", "k 2^(2(k-7))"),
        ("root_of_k", "order=0.5, exponent=1.0", "k^(1/2) 2^(k-7)"),
        ("a_seventh", "order=1.0, exponent=1.0, gain=0.142857", "k 2^(k-7) / 7, so that F_7 = 1"),
        ("no_gradient", "order=1.0, exponent=1.0, gain=0.0", "0: no gradient passes the encoders"),
    )
)


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """The paper's, its ablation, what lies between them, and how much of the gradient is passed at all."""
    return of_the_paper(
        (
            Variant("order_aware", {}, "F_k = k / 2^(7-k)"),
            Variant("none", {KEY: "none"}, "F_k = 1"),
            *IN_BETWEEN,
            Variant("unit_gain", {KEY: "unit_gain"}, "F_k = 3/256 2^(k-7): gradients keep their size"),
        )
    )


EXPERIMENT = Experiment(
    name="rescaling",
    question="Does it matter that plane k's surrogate gradient is multiplied by F_k = k / 2^(7-k), and what of it?",
    paper="without order-aware rescaling the accuracy on CIFAR-100 falls from about 79 % to about 24 %.",
    baseline="order_aware",
    variants=variants,
)
