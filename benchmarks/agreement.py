"""Port and twin compute the same: shown by their first losses before they are timed.

The release's plane 0 amplifies rounding errors from block to block, so that the float32 losses of a deep network change
by some percent with the order of summation: those of the twin do when only its memory format is another. Therefore a
loss in float64 shows that port and twin compute the same; in the timed precision only gross errors are noticed.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from port_side import model_of
from train_step_cases import Case, replaced

from hasnn_jax.interop import torch_weights
from hasnn_jax.training.steps import cross_entropy

IMAGES = 4  # of the case's images; more would only take longer
TOLERANCE = {"float64": 1e-5, "float32": 3e-1, "bfloat16": 3e-1}  # of the losses, relative


def float64_losses(case: Case, device: str, state_dict: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Losses in float64 of the case's first images in training mode, of "port" and "twin" with the same weights.

    Args:
      case: its model, spec and images are used.
      device: of the twin: "cpu" or "cuda".
      state_dict: the weights.

    Raises:
      AssertionError: they differ by more than float64's rounding, amplified, explains.
    """
    (exact,) = replaced([case], dtype="float64")
    batch = {name: array[:IMAGES] for name, array in case.images_and_labels().items()}
    losses = {"port": _port_loss(exact, batch, state_dict), "twin": _twin_loss(exact, device, batch)}
    require_agreement(losses["twin"], losses["port"], "float64", "twin, first step in float64")
    return losses


def _port_loss(case: Case, batch: Mapping[str, np.ndarray], state_dict: Mapping[str, np.ndarray]) -> float:
    model = model_of(case)

    def mean_loss(variables: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        logits, _ = model.apply(variables, images, train=True, mutable=["batch_stats"])
        return jnp.mean(cross_entropy(logits, labels))

    with jax.enable_x64(True):
        exact = {name: array.astype(np.float64) for name, array in state_dict.items() if array.dtype == np.float32}
        variables = torch_weights.from_state_dict(model, {**state_dict, **exact})
        return float(jax.jit(mean_loss)(variables, _exact_images(batch), batch["label"]))


def _exact_images(batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """In [0, 1], in float64: 255 times a float32 value is not whole there, and has the planes of another number."""
    return batch["image"].astype(np.float64) / 255


def _twin_loss(case: Case, device: str, batch: Mapping[str, np.ndarray]) -> float:
    import torch
    from torch_side import twin_of

    twin = twin_of(case).to(device).double().train()
    with torch.no_grad():
        logits = twin(torch.as_tensor(_exact_images(batch)).to(device).permute(0, 3, 1, 2))
    return torch.nn.functional.cross_entropy(logits, torch.as_tensor(batch["label"]).long().to(device)).item()


def require_agreement(loss: float, expected: float, dtype: str, what: str) -> None:
    """Raises AssertionError unless a loss is the port's one, within the tolerance of the dtype."""
    tolerance = TOLERANCE[dtype]
    if not abs(loss - expected) <= tolerance * abs(expected):  # so that NaN does not pass either
        raise AssertionError(
            f"{what}: expected the port's loss of {expected:.8g} within {tolerance:.0e} of it, got {loss:.8g}; the two "
            "compute different things, so their times are not to be compared"
        )
