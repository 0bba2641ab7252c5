"""A cost and a profile that no compiler computed, a target of one device, and a program that the compiler refuses."""

import jax

from hasnn_jax.planning.devices import Target
from hasnn_jax.planning.hlo_totals import Collective
from hasnn_jax.planning.profile import Kernel, Part, Profile
from hasnn_jax.planning.step_cost import Cost, Memory
from hasnn_jax.training import sharding

COST = Cost(
    memory=Memory(2**30, 2**30, 2**29, 3 * 2**30, 2**20, 5 * 2**30),
    flops=197e12 * 0.25,
    bytes_accessed=819e9 * 0.5,
    kernels=30,
    cycles=1_500_000_000,
    loops_unknown=0,
    collectives=(Collective("all-reduce", 2, 2 * 10**8, 10**8),),
)

PROFILE = Profile(
    parts=(
        Part("optimizer", "", "update", 4, 100_000_000, 4 * 10**6),
        Part("stem", "snn", "forward", 5, 200_000_000, 30 * 10**6),
        Part("stem", "snn", "backward", 15, 900_000_000, 50 * 10**6),
        Part("stem", "decoder", "forward", 1, 0, 6 * 10**6),
        Part(None, None, None, 5, 300_000_000, 10 * 10**6),
    ),
    costliest=(
        Kernel("fusion.7", "fusion", "jit(step)/jvp(Net)/stem/snn/conv/add", 3, 700_000_000, 9 * 10**6),
        Kernel("copy.1", "copy", "", 1, 300_000_000, 10 * 10**6),
    ),
)


def one_device(limit=None, chip=None):
    return Target("local", sharding.make_mesh(jax.devices()[:1]), chip, limit)


class Refusing:
    """Stands in for a `jax.stages.Lowered` that the compiler refuses."""

    def __init__(self, message):
        self._message = message

    def compile(self):
        raise jax.errors.JaxRuntimeError(self._message)
