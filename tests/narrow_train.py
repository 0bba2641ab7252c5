"""`hasnn train` with a narrow head on every VGG: `python tests/narrow_train.py OPTIONS`.

For tests of what does not depend on how wide the head is: the released width makes a step of an otherwise tiny network
four times as long. When it is called so, a run is not drawn and measured at its end.
"""

from hasnn_jax.models import vgg

vgg.HEAD_WIDTHS = (64, 64)

if __name__ == "__main__":
    import sys

    from hasnn_jax.commands.main import main
    from hasnn_jax.runs import report, train

    report.plot_run = lambda about, workdir: None
    train.measured_lines = lambda *of_the_run: []

    sys.exit(main(["train", *sys.argv[1:]]))
