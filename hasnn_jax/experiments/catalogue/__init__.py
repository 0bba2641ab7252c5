"""The experiments, one file each."""

from hasnn_jax.experiments.catalogue import (
    backbones,
    hybrid_vs_pure,
    neuron_decoder_order,
    planes,
    recommended,
    rescaling,
    surrogates,
    training,
)
from hasnn_jax.experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        rescaling,
        surrogates,
        hybrid_vs_pure,
        planes,
        neuron_decoder_order,
        training,
        backbones,
        recommended,
    )
}
