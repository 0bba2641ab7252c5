"""Reads from an operation's name where in a model it belongs: "jit(train_step)/jvp(HybridResNet)/stem/ann/conv/...".

The names are Flax's: the model's class, a block, and the modules in it. JAX writes jvp(...) around the class in the
forward pass and transpose(jvp(...)) in the backward pass.
"""

import collections
import dataclasses
import re
from collections.abc import Sequence

from hasnn_jax.planning.hlo_parser import Instruction, Program
from hasnn_jax.planning.hlo_walk import Launch

OPTIMIZER = "optimizer"  # and the little else that is outside of the model and the loss: metrics, the mixing of images
LOSS = "loss"
REDUCTION = "reduction"  # of gradients over devices
ARGUMENTS = "arguments"  # copies of the step's arguments into another layout or memory
FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
PATHS = ("ann", "snn", "encoder")

_PASS = re.compile(r"(?P<backward>transpose\()?jvp\((?P<model>\w+(?=\)))?")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an operation belongs.

    Attributes:
      block: of the model, such as stage1_block1; the model's class for what is between its blocks; or one of LOSS,
        OPTIMIZER, REDUCTION and ARGUMENTS.
      path: one of PATHS; empty where the block has no paths, or for what joins them.
      direction: FORWARD; BACKWARD, with what is computed again for it; or UPDATE, of weights and metrics.
    """

    block: str
    path: str
    direction: str


def find_place(op_name: str) -> Place | None:
    """Where the operation of that name belongs; None if the name does not tell."""
    if not op_name.startswith("jit("):
        # An argument is named as in Python: state.params['stem']... Other names are of no place: reduce_sum.
        return Place(ARGUMENTS, "", UPDATE) if re.match(r"(state|batch)[.\[]", op_name) else None
    *parts, primitive = op_name.split("/")[1:] or [""]
    for index, part in enumerate(parts):
        if found := _PASS.match(part):
            direction = BACKWARD if found["backward"] else FORWARD
            return _in_pass(found["model"], parts[index + 1 :], direction)
    return Place(REDUCTION if primitive.startswith("psum") else OPTIMIZER, "", UPDATE)


def _in_pass(model: str | None, scopes: Sequence[str], direction: str) -> Place:
    """The place of an operation in a pass through a model of that class, by the scopes that it stands in."""
    if model is None:
        return Place(LOSS, "", direction)  # jvp(), or jvp(jit(log_softmax))
    modules = [scope for scope in scopes if scope.isidentifier()]
    if not modules:
        return Place(model, "", direction)
    return Place(modules[0], modules[1] if modules[1:] and modules[1] in PATHS else "", direction)


def name_of(program: Program, launch: Launch) -> str:
    """The name of an operation that is launched; empty if nothing tells where it belongs.

    Where the operation itself has no name that tells its place, it is that of its result, if it is a fusion, or else
    one of the place that most operations in it belong to. What compilers add without any name moves data, so that it
    has the name of the data: that of the operation that computed what it reads first.
    """
    instruction: Instruction | None = launch.begun_by
    names = [launch.instruction.op_name]
    seen = set()
    while instruction and instruction.name not in seen:
        seen.add(instruction.name)
        names.append(instruction.op_name)
        if instruction.opcode == "fusion":
            names += _names_inside(program.computations.get(instruction.called.get("calls", ""), ()))
        if found := next(filter(find_place, names), None):
            return found
        instruction = next(map(launch.computation.get, instruction.operands), None)
    return ""


def _names_inside(body: Sequence[Instruction]) -> list[str]:
    """The name of a fusion's result, and one of the place that most operations in it belong to."""
    names = [one.op_name for one in body]
    places = [find_place(name) for name in names]
    counts = collections.Counter(place for place in places if place)
    most = [names[places.index(place)] for place, _ in counts.most_common(1)]
    return [*names[-1:], *most]
