"""The PyTorch twin's training step and evaluation of a case. Needs the extra `peers`."""

import dataclasses
import time

import numpy as np
import torch
import torch_twin
from port_side import model_of
from train_step_cases import THREADS, Case

TWIN_FIELDS = {"num_classes", "stage_sizes", "block", "base_width", "multiplier", "depth"}


def twin_of(case: Case) -> torch.nn.Module:
    """The twin of the case's model, with PyTorch's initial weights, the same ones on every call."""
    model = model_of(case)
    size = {field.name: getattr(model, field.name) for field in dataclasses.fields(model) if field.name in TWIN_FIELDS}
    torch.manual_seed(0)
    return getattr(torch_twin, type(model).__name__)(**size)


def initial_state_dict(case: Case) -> dict[str, np.ndarray]:
    """The twin's initial weights, for the port."""
    return {name: tensor.numpy().copy() for name, tensor in twin_of(case).state_dict().items()}


class TorchSide:
    """A twin with its optimizer on the device that JAX uses.

    Attributes:
      compilation: seconds of the "first_call" of "step" and "evaluation", in which `torch.compile` compiles; else {}.
    """

    def __init__(self, case: Case, device: str, variant: str = "plain"):
        """Builds the twin: "plain", in the memory format "channels_last", or that with `torch.compile` ("compile")."""
        torch.set_num_threads(THREADS)
        # What JAX does by default on a GPU; of no effect on a CPU.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.compilation: dict[str, dict[str, float]] = {}
        self._compiles = variant == "compile"
        self._device = device
        self._format = torch.contiguous_format if variant == "plain" else torch.channels_last
        self._twin = twin_of(case).to(device, memory_format=self._format)
        self._call = torch.compile(self._twin, dynamic=False) if self._compiles else self._twin
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=case.dtype == "bfloat16")
        batch, settings = case.images_and_labels(), case.config().optim
        self._images = torch.as_tensor(batch["image"]).to(device)
        self._labels = torch.as_tensor(batch["label"]).long().to(device)
        self._optimizer = torch.optim.SGD(
            self._twin.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            weight_decay=settings.weight_decay,
        )

    def _loss(self) -> torch.Tensor:
        """Mean loss of the batch: bytes -> [0, 1] -> logits -> cross-entropy in float32."""
        images = self._images.permute(0, 3, 1, 2).contiguous(memory_format=self._format).float() / 255
        with self._autocast:
            logits = self._call(images)
        return torch.nn.functional.cross_entropy(logits.float(), self._labels)

    def train(self, steps: int) -> float:
        """Trains for so many steps and waits for them. Returns the loss of the last one."""
        self._twin.train()
        began = time.perf_counter()
        for _ in range(steps):
            loss = self._loss()
            loss.backward()
            self._optimizer.step()
            self._optimizer.zero_grad()
        return self._finished("step", loss, began)

    @torch.no_grad()
    def evaluate(self, times: int) -> float:
        """Evaluates the batch so many times and waits. Returns its mean loss."""
        self._twin.eval()
        began = time.perf_counter()
        for _ in range(times):
            loss = self._loss()
        return self._finished("evaluation", loss, began)

    def _finished(self, name: str, loss: torch.Tensor, began: float) -> float:
        value = loss.item()
        if self._device == "cuda":
            torch.cuda.synchronize()  # the loss is known before the backward pass has ended
        if self._compiles and name not in self.compilation:
            self.compilation[name] = {"first_call": time.perf_counter() - began}
        return value
