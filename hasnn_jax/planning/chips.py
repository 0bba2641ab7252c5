"""The TPU generations that training can be planned for: speed, memory, interconnect and slices of each."""

import dataclasses
from collections.abc import Mapping
from typing import Any

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """One TPU generation. Figures are per device unless they name the chip; a chip has one or two devices.

    Attributes:
      flops: published peak of bfloat16 matrix products, in FLOP/s.
      memory: published, in bytes.
      usable: bytes of it that a program may use, as libtpu 0.0.52 reports them when a program needs more.
      bandwidth: of the memory, published, in bytes/s.
      clock: of the cycles that the compiler estimates, in Hz. It is the published peak divided by the FLOPs per cycle
        of the matrix units: 2 x 128 x 128 per unit for v4 and v5p (eight units per device) and v5e (four), and
        2 x 256 x 256 per unit for v6e and tpu7x (four per device). The four units of v6e and tpu7x are inferred; v6e is
        said to have two. With four, the compiler's cycles for a product of 8192 x 8192 matrices give 70 to 93 % of the
        peak of every generation, and its cycles for a copy give 69 to 81 % of the bandwidth.
      ring: bytes/s that a chip sends around a ring that uses both directions. It is the published bandwidth of all
        links, each counted in both directions, divided by the number of links.
      dimensions: of the torus that connects the chips.
      most: chips in the largest slice.
      sizes: examples of slices that can be rented.
      devices: in a chip.
      options: arguments of `get_topology_desc` besides the name.
    """

    flops: float
    memory: float
    usable: float
    bandwidth: float
    clock: float
    ring: float
    dimensions: int
    most: int
    sizes: tuple[str, ...]
    devices: int = 1
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


# Peak, memory, bandwidth and interconnect: docs.cloud.google.com/tpu/docs/ v4, v5e, v5p-training, v6e, tpu7x; v4's
# interconnect: Jouppi et al., TPU v4 (ISCA 2023), six links of 50 GB/s. A v4 or v5p chip is one device (megacore).
CHIPS = {
    "v4": Chip(275e12, 32 * GIB, 30.75 * GIB, 1200e9, 1.05e9, 100e9, 3, 4096,
               ("2x2x1", "2x2x2", "4x4x4"), options={"chip_config_name": "megacore"}),
    "v5e": Chip(197e12, 16e9, 15.75 * GIB, 819e9, 1.5e9, 100e9, 2, 256, ("1x1", "2x2", "2x4", "4x4", "8x8", "16x16")),
    "v5p": Chip(459e12, 95 * GIB, 95.73 * GIB, 2765e9, 1.75e9, 200e9, 3, 8960, ("2x2x1", "2x2x2", "4x4x4")),
    "v6e": Chip(918e12, 32e9, 31.24 * GIB, 1638e9, 1.75e9, 200e9, 2, 256, ("1x1", "2x2", "2x4", "4x4", "8x8", "16x16")),
    "tpu7x": Chip(2307e12 / 2, 96 * GIB, 94.74 * GIB, 7380e9 / 2, 2.2e9, 200e9, 3, 9216,
                  ("2x2x1", "2x2x2", "4x4x4"), devices=2),
}  # fmt: skip
