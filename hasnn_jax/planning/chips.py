"""What the chips offer that training can be planned for."""

import dataclasses
from collections.abc import Mapping
from typing import Any

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """What one device offers; a chip is one device, or two. Bytes, and per second.

    Attributes:
      flops: published peak of bfloat16 matrix products.
      memory: published.
      usable: of it, what the compiler grants a program: as libtpu 0.0.52 says when one asks for more.
      bandwidth: of the memory, published.
      clock: Hz, of the cycles that the compiler estimates. The published peak divided by the FLOPs of a cycle in the
        matrix units: 2 x 128 x 128 in each of v4's and v5p's eight and v5e's four; 2 x 256 x 256 in four a device for
        v6e and tpu7x. That four (v6e is said to have two) is inferred: with it the compiler's cycles for a product of
        8192 x 8192 matrices come to 70 to 93 % of every chip's peak, and for a copy to 69 to 81 % of its bandwidth.
      ring: what a chip sends around a ring that uses both directions; published bandwidth of all links, each counted in
        both directions, divided by their number.
      dimensions: of the torus that the chips stand in.
      most: chips in the largest slice.
      sizes: some that are rented.
      devices: in a chip.
      options: what `get_topology_desc` wants besides the name.
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
