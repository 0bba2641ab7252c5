"""Compares networks of the paper's sizes and depths block by block: each block of the port gets the twin's input.

A deep network cannot be compared from end to end. Every block whose shortcut has no projection amplifies plane 0 by up
to 128, and the release's own numbers change just as much if its images change by a rounding error
(`benchmarks/rounding.py`). Block by block there is no such amplification, and every block has to agree.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from release_parameters import draw_parameters

import hasnn_jax
from hasnn_jax.interop import torch_weights
from hasnn_jax.models import HybridResNet, LayerFactory
from hasnn_jax.models.hybrid import Hybrid
from hasnn_jax.models.resnet import STAGE_SIZES

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly")

pytestmark = pytest.mark.slow
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.mark.parametrize(("depth", "base_width"), [(18, 64), (34, 32), (50, 32)])
def test_every_block_of_a_deep_network_is_the_twins(depth, base_width, torch_twin, x64):
    block = "basic" if depth < 50 else "bottleneck"
    size = {"num_classes": 10, "stage_sizes": STAGE_SIZES[depth], "block": block, "base_width": base_width}
    twin = torch_twin.HybridResNet(**size).double().train()
    state_dict = draw_parameters({name: tuple(value.shape) for name, value in twin.state_dict().items()})
    twin.load_state_dict({name: torch.as_tensor(value) for name, value in state_dict.items()})
    theirs = run_twin(twin, torch_twin)

    port = HybridResNet(**size, layers=LayerFactory(spiking=hasnn_jax.AS_RELEASED, dtype=jnp.float64))
    variables = jax.tree.map(jnp.asarray, torch_weights.from_state_dict(port, state_dict))
    ours = run_port(port, variables, theirs)

    assert len(theirs) == 1 + sum(STAGE_SIZES[depth])
    for name, block in theirs.items():
        for what in ("output", "input_gradient"):
            assert_close(ours[name][what], block[what], f"{what} of {name}")
    gradients = dict(twin.named_parameters())
    for name, gradient in ours["gradients"].items():
        if not name.startswith("fc."):
            assert_close(gradient, gradients[name].grad.numpy(), f"gradient of {name}")
    buffers = dict(twin.named_buffers())
    for name, value in ours["buffers"].items():
        assert_close(value, buffers[name].numpy(), name)


def run_twin(twin, torch_twin):
    """Block name -> its input, its output, a random cotangent of the output, and the resulting input gradient."""
    rng = np.random.default_rng(0)
    blocks, leaves = {}, {}

    def separate(module, arguments):
        leaves[module] = arguments[0].detach().requires_grad_()
        return (leaves[module],)

    def record(module, _, output):
        cotangent = rng.normal(size=tuple(output.shape))
        output.backward(torch.as_tensor(cotangent))
        blocks[names[module]] = {
            "input": channels_last(leaves[module]),
            "output": channels_last(output),
            "cotangent": np.moveaxis(cotangent, 1, -1),
            "input_gradient": channels_last(leaves[module].grad),
        }
        return output.detach()

    names = {}
    for name, module in twin.named_modules():
        if isinstance(module, torch_twin.Hybrid):
            names[module] = port_name(name)
            module.register_forward_pre_hook(separate)
            module.register_forward_hook(record)
    twin(torch.as_tensor(rng.uniform(size=(4, 3, 32, 32))))
    return blocks


def port_name(name):
    """`layer2.0` -> `stage2_block1`."""
    if name == "init_conv":
        return "stem"
    stage, block = name.removeprefix("layer").split(".")
    return f"stage{stage}_block{int(block) + 1}"


def channels_last(tensor):
    return np.moveaxis(tensor.detach().numpy(), 1, -1)


def run_port(port, variables, theirs):
    """The same for the port with the twin's inputs and cotangents, plus gradients and buffers by name."""
    inputs = {name: jnp.asarray(block["input"]) for name, block in theirs.items()}

    def total(params, inputs):
        outputs = {}

        def give_the_twins_input(apply, arguments, keywords, context):
            if not isinstance(context.module, Hybrid) or context.method_name != "__call__":
                return apply(*arguments, **keywords)
            name = context.module.name
            outputs[name] = apply(inputs[name], *arguments[1:], **keywords)
            return outputs[name]

        with nn.intercept_methods(give_the_twins_input):
            _, updates = port.apply(
                {**variables, "params": params}, inputs["stem"], train=True, mutable=["batch_stats"]
            )
        products = [jnp.sum(outputs[name] * block["cotangent"]) for name, block in theirs.items()]
        return sum(products), (outputs, updates["batch_stats"])

    gradient = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True), compiler_options=QUICK_TO_COMPILE)
    (params, input_gradients), (outputs, batch_stats) = jax.device_get(gradient(variables["params"], inputs))
    blocks = {name: {"output": outputs[name], "input_gradient": input_gradients[name]} for name in theirs}
    gradients = torch_weights.to_state_dict(port, {"params": params})
    buffers = torch_weights.to_state_dict(port, {"batch_stats": batch_stats})
    return {**blocks, "gradients": gradients, "buffers": buffers}


def assert_close(actual, expected, name, tolerance=1e-9):
    assert actual.shape == expected.shape, name
    error = np.linalg.norm(actual - expected) / max(np.linalg.norm(expected), 1e-300)
    assert error < tolerance, f"{name}: relative error {error:.1e}"
