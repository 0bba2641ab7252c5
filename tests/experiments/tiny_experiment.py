"""The smallest experiment that is still real: `python tests/experiments/tiny_experiment.py OPTIONS`.

Three variants, one of which diverges, of two epochs of five steps on the digits.
"""

import pathlib

from hasnn_jax.experiments import machine
from hasnn_jax.experiments.catalogue import EXPERIMENTS
from hasnn_jax.experiments.experiment import Experiment, Variant
from hasnn_jax.models import vgg

ROOT = pathlib.Path(__file__).parents[2]
NARROW = (8, 8)  # the head; the released one makes a tiny run four times as long


def variants(base):
    return (
        Variant("base", {}, "as it is"),
        Variant("explodes", {"optim.name": "sgd", "optim.learning_rate": 1e30}, "a learning rate that is too high"),
        Variant("slow", {"optim.learning_rate": 1e-4}, "a low learning rate"),
    )


TINY = Experiment(
    "tiny", "Does it all work?", "it does.", "base", variants, context="For context: | 1 %.", tradeoff=True
)
OPTIONS = (
    "--config", str(ROOT / "configs/digits_as_described.py"), "--config.model.name=has8_vgg_b1_m1_d1",
    "--config.model.stem=imagenet", "--config.epochs=2", "--config.batch_size=256", "--config.log_every_steps=2",
    "--config.eval_every_epochs=1", "--config.save_every_epochs=1", "--config.seed=5",
    "--config.model.paths=('ann',)",  # a spiking path takes a minute longer to compile in all
)  # fmt: skip


def install(setitem, setattribute):
    """Adds it to the catalogue, and makes heads narrow; a commit while a test runs does not count."""
    setattribute(machine, "commit", lambda: "a commit")
    setitem(EXPERIMENTS, "tiny", TINY)
    setattribute(vgg, "HEAD_WIDTHS", NARROW)


if __name__ == "__main__":
    import sys

    from hasnn_jax.commands.main import main

    install(dict.__setitem__, setattr)
    sys.exit(main(["experiment", "tiny", *OPTIONS, *sys.argv[1:]]))
