"""The ANN twins of MobileNetV2 and EfficientNet-B0 are torchvision's networks, in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from peers_torchvision import import_torchvision

import hasnn_jax
from hasnn_jax.models.layers import BatchNorm, Conv, Dense

torch = pytest.importorskip("torch")
mobilenetv2 = import_torchvision("torchvision.models.mobilenetv2")
efficientnets = import_torchvision("torchvision.models.efficientnet")


def mobilenet(width):
    return mobilenetv2.mobilenet_v2(num_classes=7, width_mult=width, dropout=0.0)


def efficientnet(width):
    block = functools.partial(efficientnets.MBConvConfig, width_mult=width, depth_mult=1.0)
    settings = [
        block(1, 3, 1, 32, 16, 1), block(6, 3, 2, 16, 24, 2), block(6, 5, 2, 24, 40, 2), block(6, 3, 2, 40, 80, 3),
        block(6, 5, 1, 80, 112, 3), block(6, 5, 2, 112, 192, 4), block(6, 3, 1, 192, 320, 1),
    ]  # fmt: skip
    return efficientnets.EfficientNet(settings, dropout=0.0, stochastic_depth_prob=0.0, num_classes=7)


def variables_of(network, model):
    """The network's weights as variables of the model. Both list their layers in the order in which they are called."""
    kinds = (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear)
    theirs = iter([module for module in network.modules() if isinstance(module, kinds)])
    shapes = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), jnp.zeros((1, 64, 64, 3)))
    params, stats = {}, {}
    for name in calls(model):
        module, arrays = next(theirs), {}
        if isinstance(module, torch.nn.BatchNorm2d):
            arrays = {"scale": module.weight, "bias": module.bias}
            running = {"mean": module.running_mean, "var": module.running_var, "count": module.num_batches_tracked}
            put(stats, name, {key: jnp.asarray(value.numpy()) for key, value in running.items()})
        else:
            linear = name[-1] in ("squeeze", "excite", "classifier")
            kernel = module.weight.detach().numpy()
            arrays = {
                "kernel": torch.from_numpy(kernel.reshape(kernel.shape[:2]).T if linear else channels_last(kernel))
            }
            if module.bias is not None:
                arrays["bias"] = module.bias
        put(params, name, {key: jnp.asarray(value.detach().numpy()) for key, value in arrays.items()})
    assert next(theirs, None) is None
    variables = {"params": params, "batch_stats": stats}
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)
    return variables


def channels_last(kernel):
    return kernel.transpose(2, 3, 1, 0).copy()


def calls(model):
    """The paths of the layers that have parameters, in the order in which they are called."""
    found = []

    def record(call, arguments, keywords, context):
        if isinstance(context.module, BatchNorm | Conv | Dense) and context.method_name == "__call__":
            found.append(context.module.path)
        return call(*arguments, **keywords)

    with nn.intercept_methods(record):
        jax.eval_shape(lambda x: model.init(jax.random.key(0), x), jnp.zeros((1, 64, 64, 3)))
    return found


def put(tree, path, leaves):
    for key in path:
        tree = tree.setdefault(key, {})
    tree.update(leaves)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "build"), [("has8_mobilenetv2_035", mobilenet), ("has8_efficientnet_b0_025", efficientnet)]
)
def test_the_ann_twin_computes_what_torchvisions_network_does(x64, name, build):
    torch.manual_seed(0)
    network = build(int(name[-3:]) / 100).double()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean):
                torch.nn.init.normal_(values, 0.3, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    model = hasnn_jax.create_model(name, 7, paths=("ann",), dtype=jnp.float64)
    variables = variables_of(network, model)
    images = np.random.default_rng(0).random((4, 64, 64, 3))

    for train in (False, True):
        network.train(train)
        theirs = network(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).detach().numpy()
        ours, updates = jax.jit(lambda v, x, train=train: model.apply(v, x, train=train, mutable=["batch_stats"]))(
            variables, images
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    after = variables_of(network, model)["batch_stats"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), updates["batch_stats"], after)
