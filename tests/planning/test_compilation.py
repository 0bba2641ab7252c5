"""Compilations of the training step that fail."""

import pytest
from known_costs import Refusing

from hasnn_jax.common.errors import InputError
from hasnn_jax.planning.compilation import compile_step


def test_other_compiler_errors_are_errors():
    with pytest.raises(InputError, match=r"the step cannot be compiled: INTERNAL: the compiler fell over$"):
        compile_step(lambda: Refusing("INTERNAL: the compiler fell over\nat line 3"), 1, 1)
