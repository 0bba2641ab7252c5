"""Measures how much a rounding error changes the logits of the release's networks, and how far port and twin differ.

    python benchmarks/rounding.py                    # prints a Markdown table; takes some minutes on two cores

All numbers are float64, and the parameters are drawn as described in `tests/golden/README.md`. The twin runs on random
images, and on the same images with about half of the pixels moved to the next float64; the two results are compared.
Then the port is compared with the twin. Needs the extra `peers`.
"""

import functools
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_twin

import hasnn_jax
from hasnn_jax.interop import torch_weights
from hasnn_jax.models import HybridResNet, LayerFactory
from hasnn_jax.models.resnet import STAGE_SIZES

sys.path.append(str(pathlib.Path(__file__).parents[1] / "tests"))
from release_parameters import draw_parameters

IMAGES, IMAGE_SIZE = 4, 32
NETWORKS = ((10, 8), (18, 32), (18, 64), (34, 32), (50, 32))  # depth, base width
quick_jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def main() -> None:
    """Prints the table."""
    jax.config.update("jax_enable_x64", True)
    print("| network | evaluation logits: twin moved by a rounding error | port from twin "
          "| training logits: twin moved | port from twin |\n|---|---|---|---|---|")  # fmt: skip
    for depth, base_width in NETWORKS:
        block = "basic" if depth < 50 else "bottleneck"
        size = {"num_classes": 10, "stage_sizes": STAGE_SIZES[depth], "block": block, "base_width": base_width}
        rng = np.random.default_rng(0)
        images = rng.uniform(size=(IMAGES, 3, IMAGE_SIZE, IMAGE_SIZE))
        moved = np.where(rng.random(images.shape) < 0.5, np.nextafter(images, 1), images)
        exact, again, ours = run_twin(size, images), run_twin(size, moved), run_port(size, images)
        cells = (f"{np.abs(other[i] - exact[i]).max():.0e}" for i in (0, 1) for other in (again, ours))
        print(f"| depth {depth}, b = {base_width} | {' | '.join(cells)} |", flush=True)


def run_twin(size, images) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the twin, in evaluation and in training."""
    twin = torch_twin.HybridResNet(**size).double()
    twin.load_state_dict({name: torch.as_tensor(array) for name, array in drawn(twin).items()})
    with torch.no_grad():
        return tuple(twin.train(train)(torch.as_tensor(images)).numpy() for train in (False, True))


def run_port(size, images) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the port, in evaluation and in training."""
    port = HybridResNet(**size, layers=LayerFactory(spiking=hasnn_jax.AS_RELEASED, dtype=jnp.float64))
    variables = torch_weights.from_state_dict(port, drawn(torch_twin.HybridResNet(**size)))
    variables = jax.tree.map(jnp.asarray, variables)
    x = jnp.asarray(images.transpose(0, 2, 3, 1))
    evaluated = quick_jit(lambda v, x: port.apply(v, x, train=False))(variables, x)
    trained, _ = quick_jit(lambda v, x: port.apply(v, x, train=True, mutable=["batch_stats"]))(variables, x)
    return np.asarray(evaluated), np.asarray(trained)


def drawn(twin) -> dict[str, np.ndarray]:
    """Parameters for a twin's state dict, drawn like those of the golden networks."""
    return draw_parameters({name: tuple(value.shape) for name, value in twin.state_dict().items()})


if __name__ == "__main__":
    main()
