"""A state that is too large for one device is restored shard by shard."""

import pytest
import several_processes

PROGRAM = """
import pathlib, re, sys, threading
import absl.logging
absl.logging.set_verbosity(absl.logging.FATAL)
import jax, jax.numpy as jnp, numpy as np, optax
from hasnn_jax.checkpoints.fingerprint import fingerprint
from hasnn_jax.checkpoints.restoring import restore_newest
from hasnn_jax.checkpoints.saving import Checkpoints
from hasnn_jax.training import sharding
from hasnn_jax.training.state import create_state

directory, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
mesh = sharding.make_mesh()
assert mesh.size == 8
WHOLE = 2048 * 2048 * 4  # bytes of the large arrays: one parameter and the two moments of Adam

def begin():
    kernel = jnp.arange(2048 * 2048, dtype=jnp.float32).reshape(2048, 2048)
    return create_state({"params": {"kernel": kernel, "bias": jnp.ones(3)}}, optax.adam(1e-3))

like = jax.eval_shape(begin)
shardings = sharding.of_state(like, mesh, fully_sharded=True)

class Watch:
    # Notes the largest array that is put on one device.

    def __enter__(self):
        self.largest, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.over.is_set():
            for array in jax.live_arrays():
                try:
                    for shard in array.addressable_shards:
                        self.largest = max(self.largest, shard.data.nbytes)
                except RuntimeError:  # deleted in the meantime
                    pass

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

if mode == "save":
    state = jax.jit(begin, out_shardings=shardings)()
    with Checkpoints(directory, keep=1) as checkpoints:
        checkpoints.save(state)
    print(fingerprint(state))
elif mode == "restore":
    with Watch() as watch:
        state = restore_newest(directory, like, shardings)
    assert jax.tree.map(lambda x: x.sharding, state) == shardings
    print(watch.largest / WHOLE, fingerprint(state))
elif mode == "fingerprint":  # arrays inside of the compiled program, in which the watch cannot look
    from hasnn_jax.checkpoints import fingerprint as module
    state = jax.jit(begin, out_shardings=shardings)()
    compiled = module._sums.lower(jax.tree.leaves(state)).compile()
    shapes = re.findall(r"32\\[([\\d,]+)\\]", compiled.as_text())
    sizes = [int(np.prod([int(size) for size in shape.split(",")])) for shape in shapes]
    print(4 * max(sizes) / WHOLE)
else:  # as a check that reads everything onto the first device does
    from orbax.checkpoint import v1 as ocp
    from hasnn_jax.checkpoints.damage import read_arrays
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with Watch() as watch:
        arrays, _ = read_arrays(
            directory / "0",
            lambda about: jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), about),
            needs="fingerprint",
        )
    print(watch.largest / WHOLE)
"""


def run(directory, mode):
    return several_processes.run(["-c", PROGRAM, directory, mode], devices=8, count=1).split()


@pytest.mark.slow
def test_no_array_ever_lies_whole_on_one_device(tmp_path):
    (saved,) = run(tmp_path, "save")
    largest, restored = run(tmp_path, "restore")
    assert restored == saved
    assert float(largest) == 1 / 8
    (largest,) = run(tmp_path, "fingerprint")
    assert float(largest) == 1 / 8
    (largest,) = run(tmp_path, "on one device")  # the watch does notice an array that lies whole on one
    assert float(largest) == 1
