"""The surrogates of the bit planes, and how sharp they are."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant

KEY = "model.spiking.surrogate"


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """FourierSine over order and offset; SigSine and TanhSine over sharpness. TanhSine(a) is SigSine(2 a)."""
    fourier = [
        Variant(f"fouriersine_order{order}", {KEY: f"fouriersine(order={order})"}, f"FourierSine, {order} harmonics")
        for order in (1, 2, 3, 9)
    ]
    offsets = [
        Variant(f"fouriersine_offset{offset:g}", {KEY: f"fouriersine(offset={offset})"}, f"FourierSine plus {offset}")
        for offset in (0.0, 1.0)
    ]
    sharp = [
        Variant(f"{kind}_alpha{-alpha}", {KEY: f"{kind}(alpha=-{-alpha})"}, f"{title}, alpha = {alpha}")
        for kind, title, alphas in (("sigsine", "SigSine", (-1, -2, -5, -10)), ("tanhsine", "TanhSine", (-5, -10)))
        for alpha in alphas
    ]
    straight = Variant("constant", {KEY: "constant(steepness=0.5)"}, "the constant 0.5 alone: straight through")
    return (Variant("fouriersine", {}, "FourierSine, 5 harmonics plus 0.5"), *fourier, *offsets, straight, *sharp)


EXPERIMENT = Experiment(
    name="surrogates",
    question="Which surrogate of the bit planes trains best, and how does it depend on sharpness, order and offset?",
    paper="FourierSine is the best trade-off of the three surrogates.",
    baseline="fouriersine",
    variants=variants,
)
