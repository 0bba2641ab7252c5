"""`hasnn evaluate`: the test accuracy of a run or of converted weights."""

from hasnn_jax.commands import run_options
from hasnn_jax.commands.command import Command, Options


def run(options: Options) -> None:
    """Evaluates, and prints accuracy and loss."""
    workdir = run_options.start(options)
    from hasnn_jax.runs.evaluate import evaluate_weights
    from hasnn_jax.training import processes

    metrics = evaluate_weights(options.config, workdir, keep_programs_in=run_options.kept_programs())
    left_out = f" but {metrics['unreadable']:,} unreadable ones" if "unreadable" in metrics else ""
    if processes.is_main():
        print(
            f"test accuracy {metrics['accuracy']:.2%}, loss {metrics['loss']:.4f}, "
            f"over all {metrics['images']:,} test images{left_out}"
        )


COMMAND = Command(
    summary="print the test accuracy of a run or of converted weights",
    description="Evaluates the newest checkpoint of --workdir or, if it has none, the weights that "
    "--config.model.init_from names.",
    examples=(
        "hasnn evaluate --config configs/cifar100.py --workdir runs/cifar100",
        "hasnn evaluate --config configs/cifar100.py --config.model.init_from=released "
        "--config.model.spiking.spec=as_released",
    ),
    add_arguments=run_options.add_arguments,
    run=run,
    reads_config=True,
    default_config="digits.py",
)
