"""Estimates the energy of one image's inference from operation counts: arithmetic alone, and with data movement.

Every constant is from the table of M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014
(45 nm, 0.9 V), in picojoules (pJ):

    float32: multiply 3.7, add 0.9        a float32 MAC is 4.6, an accumulate 0.9
    int8 multiply 0.2, int32 add 0.1      an int8 MAC is 0.3
    64 bits from SRAM of 8 KB 10, of 32 KB 20, of 1 MB 100;  from DRAM 1300 to 2600, of which 1300 is used

These are estimates for hardware that does not exist, not measurements. Normalisations, pooling, encoders, decoders,
the neurons' own arithmetic, control and leakage are left out.

**The model of data movement is this project's own.** It is not that of arXiv 2409.08290 (Yan, Bai, Wong,
"Reconsidering the energy efficiency of spiking neural networks"), by which a spiking network has to stay below a mean
spike rate of about 6 % (6.4 % in version 2, 5.7 % in version 4) to beat an equivalent quantised network. That model
has a network on a chip and reuse of data, which this one does not have:

- A MAC reads its weight and its input; the sum stays in a register until the output is written.
- An accumulate reads its weight, and reads and writes the membrane of the neuron that it reaches.
- At each time step a spiking layer reads its input and writes its output as one bit a value, and reads and writes
  each membrane once more to compare it with the threshold.
- An array (weights, inputs, outputs or membranes of one layer) lies in the smallest of the three SRAMs that holds it.
  One above 1 MB is moved through the largest SRAM: from DRAM once an image, membranes there and back at each step.
- A value of n bits takes n / 64 of the energy of a 64-bit access.
"""

import dataclasses

from hasnn_jax.analysis.activity import Operations
from hasnn_jax.analysis.layer_costs import LayerCost

FLOAT32_MAC = 3.7 + 0.9
FLOAT32_ADD = 0.9
INT8_MAC = 0.2 + 0.1
SRAM = ((8 * 1024, 10.0), (32 * 1024, 20.0), (1024 * 1024, 100.0))  # (bytes, pJ for 64 bits)
DRAM = 1300.0  # pJ for 64 bits
FLOAT_BITS, INT8_BITS, SPIKE_BITS = 32, 8, 1


@dataclasses.dataclass(frozen=True)
class Energy:
    """Estimates for one image, in pJ.

    Attributes:
      arithmetic: 4.6 for each effective float32 MAC and 0.9 for each accumulate; operations with a zero are free, in
        the ANN path too.
      with_movement: the same plus data movement, by the model of this module.
      quantised: arithmetic of a dense 8-bit network with the same layers, 0.3 for each MAC. A spiking layer's eight
        binary steps are one call with an 8-bit input there, so its dense MACs count once. Zeros are not skipped.
      quantised_with_movement: that network with data movement; its weights, inputs and outputs have 8 bits.
    """

    arithmetic: float = 0.0
    with_movement: float = 0.0
    quantised: float = 0.0
    quantised_with_movement: float = 0.0

    def __add__(self, other: "Energy") -> "Energy":
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Energy(*(a + b for a, b in zip(mine, others, strict=True)))


def layer_energy(cost: LayerCost, operations: Operations, images: int) -> Energy:
    """The energy of one layer for one image.

    Args:
      cost: of the layer.
      operations: of the same layer, summed over `images` images, 1 or more.
      images: how many images were measured.
    """
    acs, macs = sum(operations.acs) / images, sum(operations.macs) / images
    arithmetic = FLOAT32_MAC * macs + FLOAT32_ADD * acs
    quantised = INT8_MAC * cost.macs / cost.steps
    return Energy(arithmetic, arithmetic + _movement(cost, acs, macs), quantised, quantised + _quantised_movement(cost))


def access_energy(count: int, bits: int) -> float:
    """Energy in pJ to read or write one of `count` values of `bits` bits in the smallest SRAM that holds them all."""
    energy = next((energy for size, energy in SRAM if count * bits <= 8 * size), SRAM[-1][1])
    return energy * bits / 64


def streaming_energy(count: int, bits: int) -> float:
    """Energy in pJ to move `count` values of `bits` bits between DRAM and SRAM; 0 if they fit in the largest SRAM."""
    return DRAM * count * bits / 64 if count * bits > 8 * SRAM[-1][0] else 0.0


def _movement(cost: LayerCost, acs: float, macs: float) -> float:
    weight = access_energy(cost.parameters, FLOAT_BITS)
    value_bits = SPIKE_BITS if cost.spiking else FLOAT_BITS
    read, written = access_energy(cost.inputs, value_bits), access_energy(cost.outputs, value_bits)
    membrane = access_energy(cost.outputs, FLOAT_BITS)
    # A MAC of a spiking layer has an input with a fraction, in 32 bits.
    energy = macs * (weight + access_energy(cost.inputs, FLOAT_BITS)) + acs * (weight + 2 * membrane)
    energy += streaming_energy(cost.parameters, FLOAT_BITS)
    energy += cost.steps * (streaming_energy(cost.inputs, value_bits) + streaming_energy(cost.outputs, value_bits))
    energy += cost.steps * cost.outputs * written
    if cost.spiking:
        energy += cost.steps * (cost.inputs * read + 2 * cost.outputs * membrane)
        energy += 2 * cost.steps * streaming_energy(cost.outputs, FLOAT_BITS)
    return energy


def _quantised_movement(cost: LayerCost) -> float:
    weight, read, written = (access_energy(n, INT8_BITS) for n in (cost.parameters, cost.inputs, cost.outputs))
    streamed = sum(streaming_energy(n, INT8_BITS) for n in (cost.parameters, cost.inputs, cost.outputs))
    return cost.macs / cost.steps * (weight + read) + cost.outputs * written + streamed
