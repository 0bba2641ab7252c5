"""What is due after which step of a run: logging, evaluation, checkpoints."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Timetable:
    """Steps count from 1. Evaluation and a checkpoint are always due after the last step.

    Attributes:
      epochs: in the whole run.
      steps_per_epoch: whole batches.
      log_every_steps, eval_every_epochs, save_every_epochs: intervals.
    """

    epochs: int
    steps_per_epoch: int
    log_every_steps: int
    eval_every_epochs: int
    save_every_epochs: int

    @property
    def total(self) -> int:
        """Steps in the whole run."""
        return self.epochs * self.steps_per_epoch

    def epoch(self, step: int) -> float:
        """Epochs done after a step, with fraction."""
        return step / self.steps_per_epoch

    def logs(self, step: int) -> bool:
        """Whether metrics are logged: at intervals, and at the end of each epoch."""
        return step % self.steps_per_epoch == 0 or step % self.log_every_steps == 0

    def evaluates(self, step: int) -> bool:
        """Whether the model is evaluated."""
        return step == self.total or self._ends_epochs(step, self.eval_every_epochs)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is written."""
        return step == self.total or self._ends_epochs(step, self.save_every_epochs)

    def _ends_epochs(self, step: int, every: int) -> bool:
        return step > 0 and step % (every * self.steps_per_epoch) == 0
