"""Folders of experiments that nobody has trained: their small files, written by hand."""

import json

from hasnn_jax.config import default_config, flatten

ABOUT = {
    "experiment": "rescaling", "question": "Does it matter?", "paper": "", "context": "", "tradeoff": False,
    "baseline": "base", "short": False, "seeds": [1, 2, 3], "asked": ["base", "other"],
    "variants": {"base": {"about": "as it is", "overrides": {}},
                 "other": {"about": "changed", "overrides": {"optim.learning_rate": 0.1}}},
    "changed": {"epochs": 2}, "base": {**flatten(default_config()), "epochs": 2, "loggers": []},
}  # fmt: skip
COST = {
    "images": 64, "parameters": 10, "macs": 4_000_000, "effective_macs": 1e6, "effective_acs": 2e6,
    "spike_rate": 0.25, "spiking_share": 0.125,
    "energy_pj": {"arithmetic": 1e6, "with_movement": 2e6, "quantised": 3e6, "quantised_with_movement": 4e6},
}  # fmt: skip


def write(root, accuracies, diverged=(), **about):
    """An experiment with final accuracies {variant: {seed: accuracy}} and diverged (variant, seed)."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "experiment.json").write_text(json.dumps({**ABOUT, **about}))
    for variant, by_seed in accuracies.items():
        for seed, accuracy in by_seed.items():
            write_run(root, variant, seed, accuracy)
    for variant, seed in diverged:
        folder = write_run(root, variant, seed, 0.1, epochs=1)
        run = {"status": "diverged", "step": 7, "message": "the loss is not finite", "sessions": 1}
        (folder / "run.json").write_text(json.dumps(run))


def write_run(root, variant, seed, accuracy, epochs=2, **config):
    """A run of two epochs of ten steps, or its beginning; without a run.json, as `hasnn train` leaves it."""
    folder = root / "runs" / variant / f"seed_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {**flatten(default_config()), "epochs": 2, "seed": seed, **config}
    (folder / "config.json").write_text(json.dumps(settings))
    lines = []
    for epoch in range(1, epochs + 1):
        for step in (10 * epoch - 5, 10 * epoch - 1, 10 * epoch):
            lines.append({"step": step, "epoch": step / 10, "split": "train", "loss": 3 / step, "accuracy": 0.5})
        test = {"step": 10 * epoch, "epoch": float(epoch), "split": "test", "loss": 1 / epoch}
        lines.append({**test, "accuracy": accuracy / 2 if epoch < 2 else accuracy})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "cost.json").write_text(json.dumps(COST))
    return folder
