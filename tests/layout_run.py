"""One layout of devices and processes: trains the cases below for 20 steps and writes what came out.

Called as `python layout_run.py CASES OUT [COORDINATOR COUNT INDEX]`, see `several_processes.py`.
CASES names some of `CASES`, separated by semicolons, each with ":float64" or ":float32".
"""

import sys

import jax
import jax.numpy as jnp
import narrow_train  # noqa: F401 - makes the heads narrow
import numpy as np
from tiny_runs import tiny_config

from hasnn_jax.training import processes

STEPS = 20
VGG, RESNET = {"model__name": "has8_vgg_b2_m2_d1"}, {"model__name": "has8_resnet10_b1", "model__stem": "small"}
RELEASED = {"model__spiking__spec": "as_released"}
GROUPS, FULL = {"model__statistics_group": 2}, {"shard_parameters": True}
CASES = {
    "groups": {**VGG, **GROUPS},
    "groups, accumulated, full sharding": {**VGG, **FULL, "model__statistics_group": 1, "accumulate": 2},
    "whole batch, averaged, mixed, full sharding": {**VGG, **FULL, "optim__average_decay": 0.9, "optim__mixup": 0.3},
    "released, groups, full sharding": {**VGG, **RELEASED, **GROUPS, **FULL},
    "resnet": {**RESNET, **GROUPS},
    "resnet, released": {**RESNET, **RELEASED, **GROUPS},
}


def run(case, dtype):
    """Losses of the steps, final weights and, of float32, the first gradient as one vector each; computed twice."""
    from hasnn_jax import data
    from hasnn_jax.assembly.program import build_gradients, build_program
    from hasnn_jax.assembly.run_setup import set_up
    from hasnn_jax.training import sharding

    config = tiny_config(batch_size=16, model__dtype=dtype, **CASES[case])
    setup = set_up(config)
    mesh, model = setup.mesh, setup.model
    variables = jax.tree.map(  # initialisers draw float32 in any case
        lambda x: np.asarray(x, dtype if x.dtype == jnp.float32 else x.dtype), setup.initialise()
    )
    program = build_program(config, model, variables, mesh, steps_per_epoch=STEPS)
    shardings = program.shardings
    stream = data.train_batches(setup.source.train, setup.preprocessing, batch_size=16, seed=1, reading=setup.reading)
    batches = [sharding.put_batch(next(stream), mesh) for _ in range(STEPS)]
    stream.close()
    train = program.step.lower(program.begin(variables), batches[0]).compile()
    copies = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree), out_shardings=sharding.replicated(mesh))

    def vector(tree):
        return np.concatenate([np.ravel(x) for x in jax.device_get(jax.tree.leaves(copies(tree)))])

    found = {}
    if dtype == "float32":
        gradients = jax.jit(
            build_gradients(config, model, mesh)(shardings.params),
            in_shardings=(shardings.params, shardings.batch_stats, sharding.over_batch(mesh)),
        )
        state = program.begin(variables)
        found["gradient"] = vector(gradients(state.params, state.batch_stats, batches[0])[0])
    outcomes = []
    for _ in range(2):
        state = program.begin(variables)
        losses = []
        for batch in batches:
            state, measured = train(state, batch)
            losses.append(float(measured["loss"]))
        outcomes.append((vector(state), np.array(losses), vector(state.variables)))
    counted = sum(x.dtype == jnp.int32 for x in jax.tree.leaves(variables["batch_stats"]))
    (whole, losses, final), (repeated, again, _) = outcomes
    np.testing.assert_array_equal(whole, repeated, f"{case}: repeated, the state is another")
    np.testing.assert_array_equal(losses, again)
    return {**found, "losses": losses, "final": final, "counted": counted, "hlo": train.as_text()}


def main(cases, out, coordinator=None, count=None, index=None):
    if coordinator is not None:
        processes.start(coordinator, int(count), int(index))
    found = {}
    for name in cases.split(";"):
        case, dtype = name.rsplit(":", 1)
        with jax.enable_x64(dtype == "float64"):
            found |= {f"{name}/{key}": value for key, value in run(case, dtype).items()}
    if processes.is_main():
        np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
