"""The port's training step and evaluation of a case, compiled ahead of time: what `hasnn train` runs on one device."""

import functools
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from train_step_cases import STEPS_PER_EPOCH, Case

from hasnn_jax.assembly.model import build_model, initial_variables
from hasnn_jax.assembly.program import build_program
from hasnn_jax.interop import torch_weights
from hasnn_jax.models import Model
from hasnn_jax.models.quick_jit import quick_jit
from hasnn_jax.runs.evaluate import compile_evaluation
from hasnn_jax.training.sharding import make_mesh


def model_of(case: Case) -> Model:
    """The case's model."""
    config = case.config()
    return build_model(config.model, config.data.num_classes)


class PortSide:
    """A state on the first device, and what changes it.

    Attributes:
      compilation: seconds of "lower" (tracing and lowering) and "compile", for "step" and "evaluation".
      programs: what XLA says of "step" and "evaluation": see `_describe`.
    """

    def __init__(self, case: Case, state_dict: Mapping[str, np.ndarray] | None = None):
        """Starts from a state dict with the release's names, or without one from fresh variables."""
        jax.config.update("jax_enable_compilation_cache", False)  # compile times are part of the result
        config, model = case.config(), model_of(case)
        shape = (case.image_size, case.image_size, 3)
        if state_dict is None:
            variables = quick_jit(functools.partial(initial_variables, model, shape))(np.uint32(config.seed))
        else:
            variables = torch_weights.from_state_dict(model, state_dict)
        mesh = make_mesh(jax.devices()[:1])
        program = build_program(config, model, variables, mesh, STEPS_PER_EPOCH)
        unreplaced = {"replaced": np.zeros(case.batch, bool)}
        self._state = program.begin(variables)
        self._batch = jax.device_put(case.images_and_labels() | unreplaced)
        self._masked = self._batch | {"mask": jnp.ones(case.batch, bool)}
        evaluation = compile_evaluation(model, mesh)
        self.compilation: dict[str, dict[str, float]] = {}
        self.programs: dict[str, dict[str, Any]] = {}
        self._step = self._compile("step", program.step, self._state, self._batch)
        self._evaluation = self._compile("evaluation", evaluation, self._state.variables, self._masked)

    def _compile(self, name: str, function: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        lowered = function.lower(*arguments)
        between = time.perf_counter()
        compiled = lowered.compile()
        self.compilation[name] = {"lower": between - began, "compile": time.perf_counter() - between}
        self.programs[name] = _describe(compiled)
        return compiled

    def train(self, steps: int) -> float:
        """Trains for so many steps and waits for them. Returns the loss of the last one."""
        for _ in range(steps):
            self._state, metrics = self._step(self._state, self._batch)
        jax.block_until_ready(self._state)
        return float(metrics["loss"])

    def evaluate(self, times: int) -> float:
        """Evaluates the batch so many times and waits. Returns its mean loss."""
        for _ in range(times):
            sums = self._evaluation(self._state.variables, self._masked)
        return float(sums["loss"]) / self._masked["label"].size


def _describe(compiled: Any) -> dict[str, Any]:
    """Bytes of the program's memory, and the FLOPs and bytes that XLA counts; these are of a loop's body once."""
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis() or {}
    sizes = {name: getattr(memory, f"{name}_size_in_bytes") for name in ("argument", "output", "alias", "temp")}
    counts = {"flops": costs.get("flops"), "bytes_accessed": costs.get("bytes accessed")}
    return {"memory": sizes, **counts, "loops": compiled.as_text().count(" while(")}
