"""GPU kernels that convolve images of few channels, normalise and activate at once, so that no current is written.

XLA writes what a convolution yields. In a spiking stem that is a third of what a training step moves: 3 channels become
64, at each of eight time steps. These kernels compute the currents again wherever they are needed, for a tile of pixels
at a time, which the registers hold. They are written with Pallas and compiled by Triton. Each program is for one group
of images that share statistics, and goes through several tiles if it adds something up.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import pallas as pl

from hasnn_jax.core.neurons import MAX_PACKED_STEPS, wide_steps
from hasnn_jax.models.convolution_tiles import Sizes, Tile, of_channels, plane, tile, triton
from hasnn_jax.models.normalisation import normalise, without_statistics

PROGRAMS = 264  # two for each multiprocessor of an H100
OLDEST_GPU = 8.0  # compute capability from which on Triton compiles bfloat16
WARPS = 8
# Pixels of a tile: as many as an H100's registers hold without spilling, by the compiler's count.
ROWS = 64
GRADIENT_ROWS = 32  # of all time steps, the currents, membranes and gradients are needed at once
KERNEL_ROWS = 16  # and the kernel's gradient as well
MOST_CHANNELS = 4  # of an image: whatever else is convolved needs a gradient, for which XLA would write its currents
MOST_OF_ROW = 64  # values that a row of the kernel covers
MOST_FEATURES = 64
Respond = Callable[[list[Array]], Array]
"""The normalised currents of every time step, each [M, F] -> what the layer yields, [M, F]."""


def available() -> bool:
    """Whether the installed JAX compiles the kernels, and for the GPUs that are present, if any are."""
    present = jax.devices() if jax.default_backend() == "gpu" else ()
    capabilities = (getattr(device, "compute_capability", "") for device in present)  # "9.0"; of AMD's, "gfx942"
    too_old = (each[:1].isdigit() and float(each) < OLDEST_GPU for each in capabilities)
    return triton is not None and not any(too_old)


def fits(sizes: Sizes) -> bool:
    """Whether the kernels are made for images of these sizes."""
    few = sizes.channels <= MOST_CHANNELS and sizes.features <= MOST_FEATURES and sizes.steps <= MAX_PACKED_STEPS
    values = sizes.groups * sizes.images * sizes.height * sizes.width * sizes.channels
    with_offsets = max(values, math.prod(sizes.result)) < 2**31  # of 32 bits
    return few and sizes.kernel * sizes.channels <= MOST_OF_ROW and with_offsets


def sums(source: Array, kernel: Array, near: Array, sizes: Sizes) -> tuple[Array, Array]:
    """The sums of x - near and of its square over a group's currents x: two of [G, programs, F], to be added up.

    Args:
      source: uint8 [B, H, W, C] of packed time steps, or images in `sizes.dtype`.
      kernel: floating [k, k, C, F].
      near: [G, F], float32 or wider, as are the results.
      sizes: of all of these.
    """

    def run(source, kernel, near, first, second):
        near = of_channels(near, sizes)

        def add(here, totals):
            there, (total, squares) = here.there[:, None], totals
            for x in here.currents(source, kernel):
                difference = jnp.where(there, x.astype(near.dtype) - near, 0)
                total, squares = total + difference, squares + difference * difference
            return total, squares

        _write_sums(_over_tiles(add, _zero_sums(ROWS, sizes), ROWS, sizes), (first, second))

    programs = _programs(ROWS, sizes)
    return _launch(run, programs, _partial_sums(programs, sizes), sizes, source, kernel, near)


def responses(
    respond: Respond, dtype: Any, source: Array, kernel: Array, statistics: tuple[Array, ...], sizes: Sizes
) -> Array:
    """What the layer yields: [B, H, W, F] in `dtype`.

    Args:
      respond: see `Respond`.
      dtype: of the result.
      source, kernel, sizes: see `sums`.
      statistics: mean, weight and bias, each [G, F]; see `hasnn_jax.models.normalisation.normalise`.
    """

    def run(source, kernel, mean, weight, bias, result):
        of_channel = [of_channels(each, sizes) for each in (mean, weight, bias)]
        here = tile(pl.program_id(0), ROWS, sizes, pl.program_id(1))
        y = respond([normalise(x, *of_channel) for x in here.currents(source, kernel)])
        at, there = here.of_result()
        triton.store(result.at[at], y.astype(dtype), mask=there)

    result = jax.ShapeDtypeStruct((math.prod(sizes.result),), dtype)
    flat = _launch(run, pl.cdiv(sizes.pixels, ROWS), result, sizes, source, kernel, *statistics)
    return flat.reshape(sizes.result)


def gradient_sums(
    respond: Respond, cotangent: Array, source: Array, kernel: Array, statistics: tuple[Array, ...], sizes: Sizes
) -> tuple[Array, Array]:
    """The sums of the gradient of a group's normalised currents, and of its products with x - mean: as `sums` has them.

    Args:
      cotangent: floating [B, H, W, F], of what `responses` returns.
      respond, source, kernel, statistics, sizes: see `responses`.
    """

    def run(source, kernel, mean, weight, bias, cotangent, first, second):
        of_mean, *others = (of_channels(each, sizes) for each in (mean, weight, bias))

        def add(here, totals):
            currents = here.currents(source, kernel)
            total, products = totals
            gradients = _gradients(respond, here, currents, cotangent, of_mean, *others)
            for x, exact in zip(currents, wide_steps(gradients), strict=True):
                total, products = total + exact, products + exact * (x.astype(exact.dtype) - of_mean)
            return total, products

        _write_sums(_over_tiles(add, _zero_sums(GRADIENT_ROWS, sizes), GRADIENT_ROWS, sizes), (first, second))

    programs = _programs(GRADIENT_ROWS, sizes)
    return _launch(run, programs, _partial_sums(programs, sizes), sizes, source, kernel, *statistics, cotangent)


def kernel_gradients(
    respond: Respond,
    cotangent: Array,
    source: Array,
    kernel: Array,
    statistics: tuple[Array, ...],
    gradient: tuple[Array, ...],
    values: int,
    sizes: Sizes,
) -> Array:
    """The gradient of the kernel, to be added up: [G, programs, k, k, C, F], float32 or wider.

    Args:
      gradient: of so many `values` of a channel: what `gradient_sums` found, added up, and the inverse deviation, each
        [G, F]; by these the gradient of the currents has what flows through their mean and deviation.
      respond, cotangent, source, kernel, statistics, sizes: see `gradient_sums`.
    """

    def run(source, kernel, mean, weight, bias, cotangent, total, products, inverse, result):
        channels = (of_channels(each, sizes) for each in (mean, weight, bias, total, products, inverse))
        of_mean, of_weight, of_bias, of_total, of_products, of_inverse = channels
        constant, slope = of_total / values, of_inverse * of_inverse * of_products / values

        def add(here, totals):
            currents = here.currents(source, kernel)
            gradients = _gradients(respond, here, currents, cotangent, of_mean, of_weight, of_bias)
            of_currents = [
                without_statistics(exact, x.astype(exact.dtype) - of_mean, of_weight, constant, slope).astype(x.dtype)
                for x, exact in zip(currents, wide_steps(gradients), strict=True)
            ]

            def added(total, r):
                row = here.covered(source, r)
                for t, each in enumerate(of_currents):
                    total += jnp.dot(plane(row, t, sizes).T, each, preferred_element_type=total.dtype)
                return total

            return tuple(added(total, r) for r, total in enumerate(totals))

        zeros = (jnp.zeros((sizes.row_width, sizes.lanes), sizes.wide),) * sizes.kernel
        for r, total in enumerate(_over_tiles(add, zeros, KERNEL_ROWS, sizes)):
            result[pl.program_id(1), pl.program_id(0), r] = total

    programs = _programs(KERNEL_ROWS, sizes)
    shape = (sizes.groups, programs, sizes.kernel, sizes.row_width, sizes.lanes)
    result = jax.ShapeDtypeStruct(shape, sizes.wide)
    args = source, kernel, *statistics, cotangent, *gradient
    padded = _launch(run, programs, result, sizes, *args, convolutions=2)
    rows = padded[..., : sizes.kernel * sizes.channels, : sizes.features]
    return rows.reshape(*shape[:2], *kernel.shape)


def _gradients(respond, here, currents, cotangent, mean, weight, bias):
    """The gradients of the normalised currents, as many as there are time steps."""
    y, differentiate = jax.vjp(respond, [normalise(x, mean, weight, bias) for x in currents])
    at, there = here.of_result()
    (gradients,) = differentiate(triton.load(cotangent.at[at], mask=there, other=0).astype(y.dtype))
    return gradients


def _launch(run, programs, results, sizes, *args, convolutions=1):
    """Runs a kernel, by an interpreter where there is no GPU. It finds its arguments flat.

    That it does as much as so many convolutions is written down for `hasnn_jax.planning.hlo_flops`.
    """
    flops = {"flops": str(convolutions * sizes.flops)}

    def call(*args, **options):
        grid = programs, sizes.groups
        return pl.pallas_call(run, grid=grid, out_shape=results, metadata=flops, **options)(*args)

    compiled = functools.partial(call, compiler_params=triton.CompilerParams(num_warps=WARPS, num_stages=1))
    interpreted = functools.partial(call, interpret=True)
    flat = (each.reshape(-1) for each in args)
    return jax.lax.platform_dependent(*flat, cuda=compiled, rocm=compiled, default=interpreted)


def _over_tiles(add: Callable[[Tile, Any], Any], totals, rows, sizes):
    """`add` for all tiles of a program, one after the other."""
    each = pl.cdiv(pl.cdiv(sizes.pixels, rows), _programs(rows, sizes))
    first, group = pl.program_id(0) * each, pl.program_id(1)

    def of_tile(i, totals):
        return add(tile(first + i, rows, sizes, group), totals)

    return jax.lax.fori_loop(np.int32(0), np.int32(each), of_tile, totals)


def _programs(rows, sizes):
    """How many programs share a group's tiles of so many rows."""
    return min(max(1, PROGRAMS // sizes.groups), pl.cdiv(sizes.pixels, rows))


def _zero_sums(rows, sizes):
    return (jnp.zeros((rows, sizes.lanes), sizes.wide),) * 2


def _partial_sums(programs, sizes):
    return (jax.ShapeDtypeStruct((sizes.groups, programs, sizes.lanes), sizes.wide),) * 2


def _write_sums(totals, results):
    for total, result in zip(totals, results, strict=True):
        result[pl.program_id(1), pl.program_id(0), :] = total.sum(0)
