"""Compares effective operations with NeuroBench's, on the PyTorch twin with the same weights and images.

NeuroBench is called for each image and each time step on its own, as `hasnn_jax.analysis.operations` counts: it takes
a tensor with all time steps for one call, which becomes MACs as a whole if the release's plane 0 has a fraction. The
sum of MACs and ACs does not depend on that, nor does "Dense"; they are compared with NeuroBench's own metric.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from release_parameters import draw_parameters

import hasnn_jax
from hasnn_jax.analysis.activity import measure_activity
from hasnn_jax.analysis.layer_costs import model_cost
from hasnn_jax.interop import torch_weights
from hasnn_jax.interop.release_names import release_name
from hasnn_jax.models import HybridResNet, HybridVGG, LayerFactory

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what its dependencies have to say on import
    pytest.importorskip("neurobench.models")
    from neurobench.metrics.utils.layers import single_layer_MACs
    from neurobench.metrics.workload import SynapticOperations
    from neurobench.models import TorchModel

pytestmark = pytest.mark.slow
IMAGES = 2
NETWORKS = [
    pytest.param((HybridVGG, {"base_width": 2, "multiplier": 2, "depth": 2}, 17), id="vgg"),
    pytest.param((HybridResNet, {"stage_sizes": (1, 1), "base_width": 8}, 33), id="resnet"),
]


@pytest.fixture(params=NETWORKS)
def network(request, torch_twin, x64):
    """The twin, the port, the port's variables, and images [B, H, W, C] in float64."""
    kind, size, pixels = request.param
    twin = getattr(torch_twin, kind.__name__)(num_classes=10, **size).double().eval()
    state_dict = draw_parameters({name: tuple(value.shape) for name, value in twin.state_dict().items()})
    for value in state_dict.values():
        if value.ndim >= 2:
            value[np.abs(value) < 0.05 * np.abs(value).max()] = 0  # weights of zero count for nothing, here and there
    twin.load_state_dict({name: torch.as_tensor(value) for name, value in state_dict.items()})
    port = kind(num_classes=10, **size, layers=LayerFactory(spiking=hasnn_jax.AS_RELEASED, dtype=jnp.float64))
    variables = jax.tree.map(jnp.asarray, torch_weights.from_state_dict(port, state_dict))
    return twin, port, variables, np.random.default_rng(0).uniform(size=(IMAGES, pixels, pixels, 3))


def recorded_calls(twin, images):
    """Runs each image on its own; yields NeuroBench's model with the recorded inputs, and the image [1, C, H, W]."""
    for image in images:
        model = TorchModel(twin)
        model.register_hooks()
        one = torch.as_tensor(np.moveaxis(image, -1, 0)[None].copy())
        with torch.no_grad():
            model(one)
        yield model, one
        model.cleanup_hooks()


def test_effective_operations_are_neurobenchs_step_by_step(network):
    twin, port, variables, images = network
    names = {layer: name for name, layer in twin.named_modules()}
    theirs = {}
    for model, _ in recorded_calls(twin, images):
        for hook in model.connection_hooks:
            ((x,),) = hook.inputs
            name = names[hook.layer]
            hook.hook.remove()
            steps = x.unsqueeze(1) if "snn" in name or "sdv" in name else [x]
            for t, step in enumerate(steps):
                count, spiking = single_layer_MACs(step, hook.layer)
                kinds = theirs.setdefault(name, np.zeros((2, len(steps)), int))
                kinds[0 if spiking else 1, t] += count

    ours = measure_activity(port, variables, images[:, None])  # batches of one: AS_RELEASED has a range per batch
    assert len(ours.layers) == len(theirs)
    for name, counts in ours.layers.items():
        expected = theirs[release_name(port, (*name.split("/"), "kernel")).removesuffix(".weight")]
        assert [list(counts.acs), list(counts.macs)] == expected.tolist(), name
    assert sum(sum(counts.acs) for counts in ours.layers.values()) > 0


def test_totals_are_those_of_neurobenchs_metric(network):
    twin, port, variables, images = network
    metric = SynapticOperations()
    for model, one in recorded_calls(twin, images):
        result = metric(model, None, (one, None))

    ours = measure_activity(port, variables, images[:, None])
    synaptic = sum(counts.synaptic for counts in ours.layers.values()) / IMAGES
    dense = sum(layer.macs_on_values for layer in model_cost(port, images.shape[1:]).layers)
    assert result["Effective_MACs"] + result["Effective_ACs"] == synaptic
    assert result["Dense"] == dense
