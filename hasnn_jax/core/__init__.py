"""Pure functions on arrays: bit-plane coding, its surrogate gradients, value ranges and spiking neurons."""

from hasnn_jax.core.bit_planes import BitPlaneCoding, bit_planes, encode, encode_by_own_range
from hasnn_jax.core.decoding import decode_bit_planes, decode_bit_planes_lsb_first, decode_rate
from hasnn_jax.core.neurons import IF, LIF, Neuron
from hasnn_jax.core.packing import pack, unpack
from hasnn_jax.core.plane_surrogates import (
    ConstantSlope,
    FourierSine,
    GradientRescaling,
    PowerRescaling,
    SigSine,
    Surrogate,
    TanhSine,
    no_rescaling,
    order_aware_rescaling,
    unit_gain_rescaling,
)
from hasnn_jax.core.spike_surrogates import ArcTan, FastSigmoid, Rectangle, Sigmoid, SpikeSurrogate, Triangle, spike
from hasnn_jax.core.value_range import scale_to_own_range, scale_to_unit, value_bounds

__all__ = [
    "ArcTan", "BitPlaneCoding", "ConstantSlope", "FastSigmoid", "FourierSine", "GradientRescaling", "IF", "LIF",
    "Neuron", "PowerRescaling", "Rectangle", "SigSine", "Sigmoid", "SpikeSurrogate", "Surrogate", "TanhSine",
    "Triangle", "bit_planes", "decode_bit_planes", "decode_bit_planes_lsb_first", "decode_rate", "encode",
    "encode_by_own_range", "no_rescaling", "order_aware_rescaling", "pack", "scale_to_own_range", "scale_to_unit",
    "spike", "unit_gain_rescaling", "unpack", "value_bounds",
]  # fmt: skip
