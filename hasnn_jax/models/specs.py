"""The specification of the spiking paths as one hashable value: the paper's, the release's, and variants."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

from jax import Array

from hasnn_jax import core
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import build, look_up

Gain = Literal["one", "learned"]


@dataclasses.dataclass(frozen=True)
class SpikingSpec:
    """How every spiking path encodes, spikes and decodes. Hashable; make variants with `dataclasses.replace`.

    Attributes:
      coding: array -> bit planes, and the surrogate gradient of this step; see `core.BitPlaneCoding`.
      neuron: currents [T, ...] -> spikes [T, ...]; see `core.IF` and `core.LIF`.
      decoder: spikes [T, ...] -> array [...]; `core.decode_bit_planes` or `core.decode_rate`.
      gain: of the decoded spikes where they are added to an ANN path: "one" (the paper and the release), or "learned",
        a parameter for each channel that starts at 0, so that training begins with the ANN path alone (ReZero, arXiv
        2003.04887).

    Raises:
      ValueError: `gain` has another value.
    """

    coding: core.BitPlaneCoding = core.BitPlaneCoding()
    neuron: core.Neuron = core.IF()
    decoder: Callable[[Array], Array] = core.decode_bit_planes
    gain: Gain = "one"

    def __post_init__(self):
        if self.gain not in get_args(Gain):
            raise ValueError(f"gain: expected one of {', '.join(get_args(Gain))}; got {self.gain!r}")


AS_DESCRIBED = SpikingSpec()
"""The system of the paper: most significant plane first, binary planes, IF neurons."""

AS_RELEASED = SpikingSpec(
    coding=core.BitPlaneCoding(
        plane_order="lsb_first", lowest_plane="fractional", value_range="batch", vector_gradient="pooled"
    ),
    neuron=core.LIF(tau=2.0),
)
"""The authors' PyTorch release, commit faa28fc, including its deviations from the paper."""

AS_RECOMMENDED = SpikingSpec(
    coding=core.BitPlaneCoding(rescaling=core.unit_gain_rescaling, plane_order="lsb_first"),
    decoder=core.decode_bit_planes_lsb_first,
    gain="learned",
)
"""This project's, which neither the paper nor the release has; FIDELITY.md has what it is worth.

The gradient that an encoder passes keeps its size instead of growing several hundredfold in every block. The least
significant plane comes first and weighs least in the decoder, so that the spikes that weigh most come from neurons that
have seen all planes; with the most significant plane first they have seen that plane alone. And the spiking paths start
with a gain of 0, from which training has moved them by a few hundredths so far.
"""

SPECS = {"as_described": AS_DESCRIBED, "as_released": AS_RELEASED, "as_recommended": AS_RECOMMENDED}
ENCODER_SURROGATES = {
    "constant": core.ConstantSlope,
    "fouriersine": core.FourierSine,
    "sigsine": core.SigSine,
    "tanhsine": core.TanhSine,
}
RESCALINGS = {
    "order_aware": lambda: core.order_aware_rescaling,
    "none": lambda: core.no_rescaling,
    "unit_gain": lambda: core.unit_gain_rescaling,
    "power": core.PowerRescaling,
}
SPIKE_SURROGATES = {
    "arctan": core.ArcTan,
    "fast_sigmoid": core.FastSigmoid,
    "rectangle": core.Rectangle,
    "sigmoid": core.Sigmoid,
    "triangle": core.Triangle,
}
NEURONS = {"if": core.IF, "lif": core.LIF}
DECODERS = {
    "bit_planes": core.decode_bit_planes,
    "bit_planes_lsb_first": core.decode_bit_planes_lsb_first,
    "rate": core.decode_rate,
}


def spiking_spec(
    spec: str = "as_described",
    *,
    surrogate: str | None = None,
    rescaling: str | None = None,
    plane_order: str | None = None,
    lowest_plane: str | None = None,
    value_range: str | None = None,
    range_gradient: str | None = None,
    planes: int | None = None,
    vector_gradient: str | None = None,
    neuron: str | None = None,
    spike_surrogate: str | None = None,
    decoder: str | None = None,
    gain: Gain | None = None,
) -> SpikingSpec:
    """A named spec with some of its fields replaced. Configs and command lines give the fields as text.

    Args:
      spec: "as_described", "as_released" or "as_recommended". Every other argument replaces one field of it, unless it
        is None.
      surrogate: "fouriersine", "sigsine", "tanhsine" or "constant", or with arguments: "sigsine(alpha=-5)".
      rescaling: "order_aware", "none", "unit_gain", or with arguments "power(order=0, exponent=1, gain=0.006)".
      plane_order, lowest_plane, value_range, range_gradient, planes, vector_gradient: fields of `core.BitPlaneCoding`.
      neuron: "if" or "lif", or with arguments: "lif(tau=4, reset='soft')".
      spike_surrogate: "arctan", "sigmoid", "fast_sigmoid", "triangle" or "rectangle"; with arguments as above.
      decoder: "bit_planes", "bit_planes_lsb_first" or "rate".
      gain: "one" or "learned".

    Raises:
      InputError: a name is unknown (the message lists the valid ones and suggests the nearest) or a value is out of
        range.
    """
    base = look_up("spiking spec", spec, SPECS)
    coding: dict[str, Any] = {
        "surrogate": None if surrogate is None else build("encoder surrogate", surrogate, ENCODER_SURROGATES),
        "rescaling": None if rescaling is None else build("gradient rescaling", rescaling, RESCALINGS),
        "plane_order": plane_order,
        "lowest_plane": lowest_plane,
        "value_range": value_range,
        "range_gradient": range_gradient,
        "planes": planes,
        "vector_gradient": vector_gradient,
    }
    chosen_neuron = build("neuron", neuron, NEURONS) if neuron else base.neuron
    if spike_surrogate:
        chosen_neuron = dataclasses.replace(
            chosen_neuron, surrogate=build("spike surrogate", spike_surrogate, SPIKE_SURROGATES)
        )
    try:
        chosen_coding = dataclasses.replace(base.coding, **{k: v for k, v in coding.items() if v is not None})
        return SpikingSpec(
            coding=chosen_coding,
            neuron=chosen_neuron,
            decoder=look_up("decoder", decoder, DECODERS) if decoder else base.decoder,
            gain=gain or base.gain,
        )
    except ValueError as error:
        raise InputError(f"spiking spec: {error}") from None
