"""Neuron, spike surrogate, decoder, plane order and value range."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant, of_the_paper


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """One change at a time from the system as described, and the release's neuron and order together."""
    spiking = "model.spiking"
    leaky = [
        Variant(f"lif_tau{tau:g}", {f"{spiking}.neuron": f"lif(tau={tau})"}, f"LIF, tau = {tau:g}")
        for tau in (1.25, 2.0, 4.0, 8.0)
    ]
    surrogates = [
        Variant(name, {f"{spiking}.spike_surrogate": name}, f"spike surrogate {name}")
        for name in ("sigmoid", "fast_sigmoid", "triangle", "rectangle")
    ]
    changes = (
        Variant("as_described", {}, "IF, hard reset, arctan; bit-plane decoder, highest plane first, running range"),
        *leaky,
        Variant("if_soft", {f"{spiking}.neuron": "if(reset='soft')"}, "IF, reset by subtraction"),
        Variant("lif_soft", {f"{spiking}.neuron": "lif(tau=2.0, reset='soft')"}, "LIF, tau = 2, reset by subtraction"),
        *surrogates,
        Variant("rate", {f"{spiking}.decoder": "rate"}, "rate decoder"),
        Variant(
            "lsb_first", {f"{spiking}.plane_order": "lsb_first"}, "lowest plane first, decoded as the release does"
        ),
        Variant(
            "lsb_first_decoded",
            {f"{spiking}.plane_order": "lsb_first", f"{spiking}.decoder": "bit_planes_lsb_first"},
            "lowest plane first, decoded in that order",
        ),
        Variant("range_example", {f"{spiking}.value_range": "example"}, "value range of each example"),
        Variant("range_batch", {f"{spiking}.value_range": "batch"}, "value range of the batch, in evaluation too"),
        Variant("range_stopped", {f"{spiking}.range_gradient": "stopped"}, "no gradient through the value range"),
    )
    return of_the_paper(changes)


EXPERIMENT = Experiment(
    name="neuron_decoder_order",
    question="How does accuracy depend on the neuron, its spike surrogate, the decoder, the plane order and the range?",
    paper="integrate-and-fire neurons, and the highest plane first.",
    baseline="as_described",
    variants=variants,
)
