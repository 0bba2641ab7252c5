"""The PyTorch twin computes what the release computes, and the port computes what the twin computes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from release_parameters import draw_parameters, release_parameters

import hasnn_jax
from hasnn_jax import core
from hasnn_jax.interop import torch_weights
from hasnn_jax.models import HybridResNet, HybridVGG, LayerFactory

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly")

slow = pytest.mark.slow
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


MAKE_GOLDEN = {
    "resnet_basic_b8": lambda twins: twins.HybridResNet(10, (1, 1, 1, 1), base_width=8),
    "vgg_b2_m2_d2": lambda twins: twins.HybridVGG(10, base_width=2, multiplier=2, depth=2),
}


@pytest.fixture(params=MAKE_GOLDEN)
def network(request):
    """Name of a golden network."""
    return request.param


@pytest.fixture
def twin_on_golden_weights(network, torch_twin):
    twin = MAKE_GOLDEN[network](torch_twin).double()
    twin.load_state_dict(as_tensors(release_parameters(network)))
    return twin


def test_twin_equals_release_in_evaluation(twin_on_golden_weights, network, golden):
    numbers = golden(network)
    twin_on_golden_weights.eval()
    with torch.no_grad():
        logits = twin_on_golden_weights(torch.as_tensor(numbers["x"]))
    np.testing.assert_allclose(logits.numpy(), numbers["logits_eval"], rtol=0, atol=1e-10)


def test_twin_equals_release_in_one_training_step(twin_on_golden_weights, network, golden):
    numbers = golden(network)
    logits, gradients, buffers, _ = torch_step(twin_on_golden_weights, numbers["x"], numbers["y"])
    np.testing.assert_allclose(logits, numbers["logits_train"], rtol=0, atol=1e-10)
    for name, gradient in gradients.items():
        norm, total = numbers[f"gradnorm_sum/{name}"]
        np.testing.assert_allclose(np.linalg.norm(gradient), norm, rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(gradient.sum(), total, rtol=0, atol=1e-9 * norm, err_msg=name)
        if f"grad/{name}" in numbers:
            assert_close(gradient, numbers[f"grad/{name}"], name)
    expected = {key.removeprefix("stats1/"): value for key, value in numbers.items() if key.startswith("stats1/")}
    for name, value in expected.items():
        np.testing.assert_allclose(buffers[name], value, rtol=0, atol=1e-10, err_msg=name)


def test_twin_equals_release_over_four_sgd_steps(twin_on_golden_weights, network, golden):
    numbers, twin = golden(network), twin_on_golden_weights.train()
    x, y = torch.as_tensor(numbers["x"]), torch.as_tensor(numbers["y"])
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(twin(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Each step amplifies rounding. With other instructions of the same processor (MKL_ENABLE_INSTRUCTIONS=AVX2,
    # MKL_CBWR=COMPATIBLE) the last loss alone moves, by up to 2.3e-8, and the logits after it by some 1e-6 of their
    # size.
    assert (np.abs(losses - numbers["sgd_losses"]) <= [1e-9, 1e-9, 1e-9, 1e-7]).all()
    with torch.no_grad():
        assert_close(twin.eval()(x).numpy(), numbers["logits_eval_after"], "logits after training", tolerance=1e-5)


def test_twin_has_exactly_the_release_names(network, torch_twin):
    twin = MAKE_GOLDEN[network](torch_twin)
    expected = {name: array.shape for name, array in release_parameters(network).items()}
    assert {name: tuple(value.shape) for name, value in twin.state_dict().items()} == expected


def test_twin_forgets_the_previous_batch(twin_on_golden_weights, network, golden):
    x = torch.as_tensor(golden(network)["x"])
    twin_on_golden_weights.eval()
    with torch.no_grad():
        first, _, again = (twin_on_golden_weights(images) for images in (x, 1 - x, x))
    assert torch.equal(first, again)


INPUTS = {
    "in [0, 1]": lambda rng: rng.uniform(size=(3, 40)),
    "signed": lambda rng: rng.normal(size=(3, 40)),
    "wide, with ties": lambda rng: np.clip(rng.normal(2, 5, (3, 40)), 0, 9),
    "constant": lambda rng: np.full((3, 40), 2.5),
}


@pytest.mark.parametrize("make_input", [pytest.param(make, id=name) for name, make in INPUTS.items()])
@pytest.mark.parametrize(
    ("name", "surrogate"),
    [("fourier_sine", core.FourierSine()), ("sig_sine", core.SigSine()), ("tanh_sine", core.TanhSine())],
)
@pytest.mark.parametrize("shape", [(3, 40), (3, 2, 4, 5)], ids=["features", "maps"])
def test_port_encodes_and_decodes_as_twin(name, surrogate, make_input, shape, torch_twin_coding, x64):
    rng = np.random.default_rng(0)
    x = make_input(rng).reshape(shape)
    cotangents = rng.normal(size=(8, *x.shape)), rng.normal(size=x.shape)  # of the planes, and of the decoded array
    leaf = torch.tensor(x, requires_grad=True)
    surrogate_derivative = getattr(torch_twin_coding, name)
    planes = torch_twin_coding.BitPlanes.apply(255 * torch_twin_coding.to_unit_range(leaf), surrogate_derivative)
    decoded = torch_twin_coding.decode(planes)
    if planes.requires_grad:
        torch.autograd.backward((planes, decoded), tuple(torch.tensor(c) for c in cotangents))
    gradient = np.zeros_like(x) if leaf.grad is None else leaf.grad.numpy()  # a constant gets no gradient

    released = hasnn_jax.AS_RELEASED
    coding = dataclasses.replace(released.coding, surrogate=surrogate)

    def encode_and_decode(x):
        planes = core.encode(x, coding)
        return planes, released.decoder(planes)

    (our_planes, our_decoded), pull_back = jax.vjp(encode_and_decode, jnp.asarray(x))
    np.testing.assert_array_equal(our_planes, planes.detach().numpy())
    np.testing.assert_allclose(our_decoded, decoded.detach().numpy(), rtol=1e-14)
    (our_gradient,) = pull_back(tuple(jnp.asarray(c) for c in cotangents))
    np.testing.assert_allclose(our_gradient, gradient, rtol=0, atol=1e-12 * max(np.abs(gradient).max(), 1e3))


@pytest.mark.parametrize(
    ("port_class", "size", "image_shape", "tolerance"),
    [
        pytest.param(HybridResNet, {"stage_sizes": (1,)}, (4, 1, 21, 34), 1e-9, id="one block on grey images"),
        pytest.param(HybridResNet, {"stage_sizes": (1, 1, 1, 1)}, (3, 3, 40, 40), 1e-9, id="depth 10", marks=slow),
        # Plane 0 is amplified by up to 128 from encoder to decoder, so rounding errors grow from block to block: if
        # the images change by a factor of 1 + 1e-15, the twin's own logits here change by 9e-10, its gradient by 5e-8.
        pytest.param(HybridResNet, {"stage_sizes": (2, 2, 2, 2)}, (2, 3, 33, 47), 1e-6, id="depth 18", marks=slow),
        pytest.param(
            HybridResNet,
            {"stage_sizes": (1, 1), "block": "bottleneck", "base_width": 16},  # the first block needs no projection
            (5, 3, 35, 29),
            1e-9,
            id="bottlenecks",
            marks=slow,
        ),
        pytest.param(HybridVGG, {"multiplier": 3, "depth": 1}, (4, 1, 9, 14), 1e-9, id="VGG on grey images"),
        pytest.param(HybridVGG, {"base_width": 16}, (4, 3, 32, 32), 1e-9, id="VGG[b16-m2-d4]", marks=slow),
        pytest.param(HybridVGG, {"base_width": 24}, (4, 3, 32, 32), 1e-9, id="VGG[b24-m2-d4]", marks=slow),
    ],
)
def test_port_equals_twin(port_class, size, image_shape, tolerance, torch_twin, x64):
    size = {"num_classes": 7, "base_width": 8} | size
    twin = getattr(torch_twin, port_class.__name__)(**size, in_channels=image_shape[1]).double()
    state_dict = draw_parameters({name: tuple(value.shape) for name, value in twin.state_dict().items()})
    for name, array in state_dict.items():
        if "sdv_block" in name and array.ndim == 2:
            array *= 4  # otherwise almost no spike passes the VGG's head
    twin.load_state_dict(as_tensors(state_dict))

    port = port_class(**size, layers=LayerFactory(spiking=hasnn_jax.AS_RELEASED, dtype=jnp.float64))
    variables = jax.tree.map(jnp.asarray, torch_weights.from_state_dict(port, state_dict))

    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=image_shape), rng.integers(0, 7, image_shape[0])
    with torch.no_grad():
        eval_logits = twin.eval()(torch.as_tensor(x)).numpy()
    logits, gradients, buffers, image_gradient = torch_step(twin, x, y)
    ours = port_step(port, variables, jnp.asarray(x.transpose(0, 2, 3, 1)), jnp.asarray(y))

    port_gradients = torch_weights.to_state_dict(port, {"params": ours["gradients"]})
    port_buffers = torch_weights.to_state_dict(port, {"batch_stats": ours["batch_stats"]})
    assert port_gradients.keys() == gradients.keys()
    assert port_buffers.keys() == buffers.keys()
    assert_close(ours["eval_logits"], eval_logits, "logits in evaluation", tolerance)
    assert_close(ours["logits"], logits, "logits in training", tolerance)
    assert_close(ours["image_gradient"].transpose(0, 3, 1, 2), image_gradient, "gradient of the images", tolerance)
    for name, gradient in gradients.items():
        assert_close(port_gradients[name], gradient, f"gradient of {name}", tolerance)
    for name, value in buffers.items():
        assert_close(port_buffers[name], value, name, tolerance)


def torch_step(twin, x, y):
    """Logits, gradients, updated BatchNorm buffers and the gradient of the images of one training step."""
    images = torch.tensor(x, requires_grad=True)
    twin.train()
    logits = twin(images)
    torch.nn.functional.cross_entropy(logits, torch.as_tensor(y)).backward()
    gradients = {name: parameter.grad.numpy() for name, parameter in twin.named_parameters()}
    buffers = {name: buffer.numpy() for name, buffer in twin.named_buffers()}
    return logits.detach().numpy(), gradients, buffers, images.grad.numpy()


def port_step(port, variables, images, labels):
    """The same for the port, and its logits in evaluation."""

    def loss(params, images):
        logits, updates = port.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
        mean = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return mean, (logits, updates["batch_stats"])

    def step(variables, images):
        eval_logits = port.apply(variables, images, train=False)
        gradient = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        (_, (logits, batch_stats)), (gradients, image_gradient) = gradient(variables["params"], images)
        return {
            "eval_logits": eval_logits,
            "logits": logits,
            "gradients": gradients,
            "image_gradient": image_gradient,
            "batch_stats": batch_stats,
        }

    return jax.device_get(jax.jit(step, compiler_options=QUICK_TO_COMPILE)(variables, images))


def as_tensors(state_dict):
    return {name: torch.as_tensor(value) for name, value in state_dict.items()}


def assert_close(actual, expected, name, tolerance=1e-9):
    """The norm of the difference is small relative to that of the expected array, which is not 0."""
    assert actual.shape == expected.shape, name
    assert np.any(expected), f"{name} is zero: nothing is compared"
    error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
    assert error < tolerance, f"{name}: relative error {error:.1e}"
