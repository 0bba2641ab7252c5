"""Counts the FLOPs of convolutions and matrix products in a compiled program; XLA counts none for GPUs.

All other operations together do few FLOPs beside these. A multiplication and an addition are two FLOPs, and products
with the zeros of a convolution's padding and dilation do not count; XLA counts in the same way.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from hasnn_jax.planning.hlo_parser import Instruction, Program, array_sizes
from hasnn_jax.planning.hlo_walk import launches

# This project's kernels say what they do; see hasnn_jax.models.convolution_kernels.
_KERNEL = "__gpu$xla.gpu.triton"
_SAID = re.compile(r'flops(?:\\22|"): (?:\\22|")(\d+)')

_LABELS = re.compile(r"\bdim_labels=(\w+)_(\w+)->(\w+)")
_WINDOW = re.compile(r"\bwindow=\{([^}]*)\}")
_TARGET = re.compile(r'\bcustom_call_target="([^"]*)"')
_CONTRACTED = re.compile(r'\blhs_contracting_dim(?:ension)?s"?[=:][{\[]([\d,"]*)[}\]]')

# What is the image, the kernel and the output of a convolution: an operand by its number, or the result. cuDNN's
# attributes are those of the forward convolution, in the backward ones too.
_RESULT = -1
_CONVOLUTION = (0, 1, _RESULT)
_CUDNN = {"__cudnn$convBackwardInput": (_RESULT, 1, 0), "__cudnn$convBackwardFilter": (0, _RESULT, 1)}


def matrix_flops(program: Program) -> int:
    """FLOPs of all convolutions and matrix products that one run of a program does, each loop's as often as it runs."""
    return sum(
        launch.times * _flops(instruction, computation)
        for launch in launches(program)
        for instruction, computation in _inside(program, launch.instruction, launch.computation)
    )


def _inside(
    program: Program, instruction: Instruction, computation: Mapping[str, Instruction]
) -> Iterator[tuple[Instruction, Mapping[str, Instruction]]]:
    """The instruction with its computation, and if it is a fusion, those in it with theirs."""
    yield instruction, computation
    if instruction.opcode == "fusion":
        body = program.computations.get(instruction.called.get("calls", ""), ())
        inside = {one.name: one for one in body}
        for one in body:
            yield from _inside(program, one, inside)


def _flops(instruction: Instruction, computation: Mapping[str, Instruction]) -> int:
    target = _TARGET.search(instruction.rest) if instruction.opcode == "custom-call" else None
    name = target[1] if target else ""
    if name == _KERNEL:
        said = _SAID.search(instruction.rest)
        return int(said[1]) if said else 0
    is_convolution = instruction.opcode == "convolution" or name.startswith("__cudnn$conv")
    if not is_convolution and instruction.opcode != "dot" and not name.startswith("__cublas$"):
        return 0
    # Of a tuple the first array is the result; others are for the library's own use.
    shapes = [array_sizes(computation[name].shape)[0] for name in instruction.operands[:2] if name in computation]
    shapes.append(array_sizes(instruction.shape)[0])
    if len(shapes) < 3:
        return 0
    if is_convolution:
        image, kernel, output = (shapes[role] for role in _CUDNN.get(name, _CONVOLUTION))
        return _convolution(image, kernel, output, instruction.rest)
    contracted = _CONTRACTED.search(instruction.rest)
    axes = re.findall(r"\d+", contracted[1]) if contracted else []
    return 2 * math.prod(shapes[_RESULT]) * math.prod(shapes[0][int(axis)] for axis in axes)


def _convolution(image: Sequence[int], kernel: Sequence[int], output: Sequence[int], attributes: str) -> int:
    """FLOPs of a convolution, from the sizes of its arrays and the labels of their axes such as b01f_01io->b01f."""
    labels = _LABELS.search(attributes)
    if labels is None:
        return 0
    images, kernels, outputs = (dict(zip(labels[i + 1], s, strict=True)) for i, s in enumerate((image, kernel, output)))
    window = _WINDOW.search(attributes)
    parts = dict(part.split("=") for part in window[1].split()) if window else {}
    products = 2 * outputs["b"] * outputs["f"] * kernels["i"]  # "i" is of one feature group
    for number, axis in enumerate(sorted(filter(str.isdecimal, labels[1]))):
        stride, inner, outer = (_along(parts, name, number) for name in ("stride", "lhs_dilate", "rhs_dilate"))
        low = int(parts["pad"].split("x")[number].split("_")[0]) if "pad" in parts else 0
        places = (o * stride + k * outer - low for o in range(outputs[axis]) for k in range(kernels[axis]))
        last = (images[axis] - 1) * inner
        products *= sum(0 <= place <= last and place % inner == 0 for place in places)
    return products


def _along(parts: Mapping[str, str], name: str, number: int) -> int:
    return int(parts[name].split("x")[number]) if name in parts else 1
