"""Error messages as the TPU compiler words them."""

import pytest

from hasnn_jax.planning.compiler_errors import Refusal, read_refusal


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        (
            "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 18.65G "
            "of 15.75G hbm. Exceeded hbm capacity by 2.90G.",
            Refusal(18.65 * 2**30, 15.75 * 2**30),
        ),
        (
            "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory required for HLO "
            "temporaries (16.00T) exceeds available HBM (15.75G). HLO module: jit__lambda.\nSee "
            "https://openxla.org/xla/errors/error_1000 for more details.",
            Refusal(16 * 2**40, 15.75 * 2**30),
        ),
        ("RESOURCE_EXHAUSTED: HBM is full", Refusal(None, None)),
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem. Used 17M of 16M vmem.", None),
        ("INTERNAL: hbm controller", None),
    ],
)
def test_refusal_for_memory_is_distinguished_from_other_errors(message, refusal):
    assert read_refusal(message) == refusal
