"""The fingerprint of a tree of arrays is the same on the host and on devices, and changes with every element."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from hasnn_jax.checkpoints.fingerprint import fingerprint

TREE = {
    "maps": np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32),
    "half": np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16),
    "wide": np.array([-1.5, 2.0**10]),
    "flags": np.array([True, False, True]),
    "bytes": np.arange(3, dtype=np.uint8),
    "step": np.array(-7, np.int32),
}


def test_numpys_arrays_have_the_fingerprint_of_the_same_arrays_on_a_device(x64, monkeypatch):
    on_device = {name: jnp.asarray(leaf) for name, leaf in TREE.items()}
    assert [leaf.dtype for leaf in on_device.values()] == [leaf.dtype for leaf in TREE.values()]
    assert fingerprint(TREE) == fingerprint(on_device)
    with monkeypatch.context() as patch:  # a CPU's arrays are NumPy's, another device's are not
        patch.setattr("hasnn_jax.checkpoints.fingerprint._is_on_host", lambda leaf: isinstance(leaf, np.ndarray))
        assert fingerprint(TREE) == fingerprint(on_device)
    turned = TREE["maps"].T.copy().T  # other strides, the same array
    assert fingerprint({**TREE, "maps": turned}) == fingerprint(TREE)


@pytest.mark.parametrize("name", TREE)
def test_another_element_name_or_dtype_is_another_fingerprint(name):
    changed = np.array(TREE[name])
    changed.flat[-1] = 0 if changed.flat[-1] else 1
    others = [
        {**TREE, name: changed},
        {("x" if key == name else key): leaf for key, leaf in TREE.items()},
        {**TREE, name: TREE[name].astype(np.float16)},
    ]
    assert len({fingerprint(TREE), *map(fingerprint, others)}) == 4
