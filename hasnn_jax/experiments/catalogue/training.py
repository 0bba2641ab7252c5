"""Optimizer, clipping and learning rate."""

from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """Changes of the base recipe; learning rates are multiples of its own. What would change nothing is left out."""
    optim = base.optim

    def rate(factor: float) -> float:
        return float(f"{factor * optim.learning_rate:.6g}")

    candidates: list[tuple[str, dict[str, Any], str]] = [
        *(
            (f"rate_times_{factor:g}", {"optim.learning_rate": rate(factor)}, f"learning rate {rate(factor):g}")
            for factor in (0.1, 0.3, 3.0, 10.0)
        ),
        *((name, {"optim.name": name}, f"optimizer {name}") for name in ("adam", "adamw")),
        *(
            (
                f"sgd_times_{factor:g}",
                {"optim.name": "sgd", "optim.learning_rate": rate(factor)},
                f"SGD with Nesterov momentum, learning rate {rate(factor):g}",
            )
            for factor in (1.0, 10.0, 100.0)
        ),
        ("unclipped", {"optim.clip_rms": None, "optim.clip_norm": None}, "gradients not clipped"),
        ("clip_rms", {"optim.clip_rms": 0.01, "optim.clip_norm": None}, "root mean square clipped to 0.01"),
        ("clip_norm", {"optim.clip_rms": None, "optim.clip_norm": 1.0}, "global norm clipped to 1"),
        ("constant_rate", {"schedule.name": "constant"}, "constant learning rate"),
    ]
    now = {f"optim.{key}": value for key, value in optim.items()} | {"schedule.name": base.schedule.name}
    changing = [each for each in candidates if any(now[key] != value for key, value in each[1].items())]
    return (Variant("as_configured", {}, "the base config"), *(Variant(*each) for each in changing))


EXPERIMENT = Experiment(
    name="training",
    question="How do optimizer, gradient clipping and learning rate change what training reaches?",
    paper="",
    baseline="as_configured",
    variants=variants,
)
