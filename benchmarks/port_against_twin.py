"""Trains the port and the PyTorch twin in float32, with the same initial weights and the same batches of real digits.

    python benchmarks/port_against_twin.py             # takes a quarter of an hour on two cores
    python benchmarks/port_against_twin.py --draw      # only draws the figure, from the numbers of the last run

Writes `benchmarks/results/port_against_twin.json` and `docs/port_against_twin.png`. Needs the extra `peers`.
"""

import argparse
import functools
import itertools
import json
import pathlib
import platform
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_twin
from tqdm import tqdm

import hasnn_jax
from hasnn_jax.data import Preprocessing, evaluation_batches, open_digits, train_batches
from hasnn_jax.interop import torch_weights
from hasnn_jax.models import HybridResNet, LayerFactory
from hasnn_jax.training.optimizers import adam
from hasnn_jax.training.state import create_state
from hasnn_jax.training.steps import gradients, train_step, unit_images

HERE = pathlib.Path(__file__).parent
RESULTS = HERE / "results/port_against_twin.json"
PICTURE = HERE.parent / "docs/port_against_twin.png"
SIZE: dict[str, Any] = {"num_classes": 10, "stage_sizes": (1, 1, 1, 1), "base_width": 16}
RECIPE = {"learning_rate": 1e-3, "weight_decay": 1e-3}  # Adam with L2, as the release uses it for small data sets
BATCH, TEST_BATCH, STEPS, IMAGE_SIZE = 16, 64, 200, 32
PREPROCESSING = Preprocessing(num_classes=10, image_size=IMAGE_SIZE)


def main() -> None:
    """Trains both, unless only the figure is wanted; draws the figure and prints a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args()
    if not options.draw:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(measure(options.seeds)) + "\n")
    numbers = json.loads(RESULTS.read_text())
    draw(numbers)
    print(summary(numbers))


def measure(seeds: int) -> dict[str, Any]:
    """Training loss of every step and final test accuracy, for each seed."""
    runs = []
    source = open_digits()
    train = jit_training()
    for seed in tqdm(range(seeds), unit="seed"):
        torch.manual_seed(seed)
        twin = torch_twin.HybridResNet(**SIZE, in_channels=1)
        weights = {name: tensor.numpy().copy() for name, tensor in twin.state_dict().items()}
        batches = list(itertools.islice(train_batches(source.train, PREPROCESSING, batch_size=BATCH, seed=seed), STEPS))
        tests = list(evaluation_batches(source.test, PREPROCESSING, batch_size=TEST_BATCH))
        twin_losses, twin_accuracy = run_twin(twin, batches, tests)
        port_losses, port_accuracy = run_port(train, weights, batches, tests)
        runs.append(
            {"port": port_losses, "twin": twin_losses, "accuracy": {"port": port_accuracy, "twin": twin_accuracy}}
        )
    versions = {"jax": jax.__version__, "torch": torch.__version__, "python": platform.python_version()}
    return {"size": {**SIZE, "image_size": IMAGE_SIZE}, "versions": versions, "runs": runs}


def run_twin(twin, batches, tests) -> tuple[list[float], float]:
    """Losses and final accuracy of the PyTorch twin, trained with PyTorch's optimizer."""
    optimizer = torch.optim.Adam(twin.parameters(), lr=RECIPE["learning_rate"], weight_decay=RECIPE["weight_decay"])
    losses = []
    twin.train()
    for batch in batches:
        loss = torch.nn.functional.cross_entropy(twin(twin_images(batch)), torch.as_tensor(batch["label"]).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    twin.eval()
    with torch.no_grad():
        return losses, accuracy((twin(twin_images(batch)).numpy(), batch) for batch in tests)


def twin_images(batch):
    """uint8 [B, H, W, C] -> float32 [B, C, H, W] in [0, 1]."""
    return torch.as_tensor(batch["image"]).permute(0, 3, 1, 2).float() / 255


def jit_training():
    """The port, its optimizer, and its compiled training step and evaluation."""
    port = HybridResNet(**SIZE, layers=LayerFactory(spiking=hasnn_jax.AS_RELEASED))
    optimizer = adam(RECIPE["learning_rate"], RECIPE["weight_decay"])
    of_model = functools.partial(gradients, apply=port.apply)
    step = jax.jit(lambda state, batch: train_step(state, batch, gradients=of_model, optimizer=optimizer))
    evaluate = jax.jit(lambda variables, images: port.apply(variables, unit_images(images), train=False))
    return port, optimizer, step, evaluate


def run_port(training, weights, batches, tests) -> tuple[list[float], float]:
    """Losses and final accuracy of the port, starting from the same state dict."""
    port, optimizer, step, evaluate = training
    variables = jax.tree.map(jnp.asarray, torch_weights.from_state_dict(port, weights))
    state = create_state(variables, optimizer)
    losses = []
    for batch in batches:
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    return losses, accuracy((evaluate(state.variables, batch["image"]), batch) for batch in tests)


def accuracy(pairs) -> float:
    """Accuracy over the examples that are not padding, from (logits, batch) pairs."""
    right = [(np.argmax(logits, -1) == batch["label"])[batch["mask"] == 1] for logits, batch in pairs]
    return float(np.mean(np.concatenate(right)))


def summary(numbers: dict[str, Any]) -> str:
    """Accuracies, final losses and the differences between port and twin, as text."""
    port, twin = (np.array([run["accuracy"][side] for run in numbers["runs"]]) for side in ("port", "twin"))
    first = np.array(
        [[abs(a - b) for a, b in zip(run["port"][:10], run["twin"][:10], strict=True)] for run in numbers["runs"]]
    )
    tail = {side: np.array([np.mean(run[side][-20:]) for run in numbers["runs"]]) for side in ("port", "twin")}
    return "\n".join([
        f"final test accuracy, mean of {len(port)} seeds: port {port.mean():.2%}, twin {twin.mean():.2%}; "
        f"difference {abs(port.mean() - twin.mean()):.2%}, spread between seeds (standard deviation) "
        f"port {port.std(ddof=1):.2%}, twin {twin.std(ddof=1):.2%}",
        f"mean loss of the last 20 steps: port {tail['port'].mean():.3f}, twin {tail['twin'].mean():.3f} "
        f"(spread {tail['port'].std(ddof=1):.3f}, {tail['twin'].std(ddof=1):.3f})",
        f"losses of one step differ by at most {first[:, 0].max():.1e} at step 1, {first.max():.1e} in the first 10",
    ])  # fmt: skip


def draw(numbers: dict[str, Any]) -> None:
    """Saves the figure: the curves of one seed on the left, mean and standard deviation of all seeds on the right."""
    import matplotlib.pyplot as plt

    figure, (one, all_seeds) = plt.subplots(1, 2, figsize=(11, 3.8), sharey=True, layout="constrained")
    steps = np.arange(1, STEPS + 1)
    for side, colour, style in (("twin", "tab:orange", "-"), ("port", "tab:blue", "--")):
        name = {"twin": "PyTorch twin of the release", "port": "hasnn_jax, AS_RELEASED"}[side]
        losses = np.array([run[side] for run in numbers["runs"]])
        one.plot(steps, losses[0], style, color=colour, label=name, linewidth=1.2)
        mean, spread = losses.mean(0), losses.std(0, ddof=1)
        all_seeds.plot(steps, mean, style, color=colour, label=name, linewidth=1.2)
        all_seeds.fill_between(steps, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    one.set(title="seed 0", xlabel="step", ylabel="training loss")
    all_seeds.set(title=f"mean of {len(numbers['runs'])} seeds, and one standard deviation", xlabel="step")
    one.legend(frameon=False)
    for axes in (one, all_seeds):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
