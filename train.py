"""Trains a HAS-8 classifier: python train.py --config configs/imagenet.py --workdir runs/imagenet.

With --evaluate it trains nothing: it prints the test accuracy of the workdir's newest checkpoint, or, where there is
none, of the weights that --config.model.init_from names.

Any setting is one override, such as --config.optim.learning_rate=3e-4; they are listed in hasnn_jax/config.py.
"""

import pathlib
import signal
import sys
from collections.abc import Callable

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from hasnn_jax.command_line import config_fault, define_config, flags_parser
from hasnn_jax.errors import InputError
from hasnn_jax.training import processes

CONFIGS = pathlib.Path(__file__).parent / "configs"


def main() -> None:
    shipped = ", ".join(sorted(f"configs/{file.name}" for file in CONFIGS.glob("*.py")))
    if error := config_fault(sys.argv, known=f"; those that come with the project: {shipped}"):
        sys.exit(f"train.py: {error}")
    argv, config = define_config(sys.argv, str(CONFIGS / "digits.py"))
    workdir = flags.DEFINE_string("workdir", None, "folder of the run; by default runs/<name of the config file>")
    evaluate = flags.DEFINE_bool("evaluate", False, "only evaluate: the workdir's checkpoint, or model.init_from")
    flags.DEFINE_string("coordinator", None, "host:port of process 0, where processes are started by hand")
    flags.DEFINE_integer("process_count", None, "how many processes train together, where they are started by hand")
    flags.DEFINE_integer("process_index", None, "which of them this is, from 0")
    app.run(lambda rest: run(rest, config, workdir, evaluate), argv, flags_parser=flags_parser("train.py"))


def run(
    argv: list[str], config: Callable[[], ConfigDict], workdir: flags.FlagHolder, evaluate: flags.FlagHolder
) -> None:
    """Trains or evaluates as the flags say."""
    if len(argv) > 1:
        sys.exit(f"train.py: unexpected argument {argv[1]!r}; settings are given as --config.KEY=VALUE")
    if not flags.FLAGS["verbosity"].present:  # --verbosity=0 shows what JAX and Orbax log
        logging.set_verbosity(logging.FATAL)
    if jax.config.jax_compilation_cache_dir is None:  # JAX_COMPILATION_CACHE_DIR names another place
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path("~/.cache/hasnn_jax").expanduser()))
    from hasnn_jax.evaluation import evaluate_weights
    from hasnn_jax.trainer import train_and_evaluate

    name = pathlib.Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    try:
        processes.start(*(flags.FLAGS[name].value for name in ("coordinator", "process_count", "process_index")))
        act = evaluate_weights if evaluate.value else train_and_evaluate
        act(config(), workdir.value or pathlib.Path("runs") / name)
    except InputError as error:
        sys.exit(f"train.py: {error}")
    except KeyboardInterrupt:  # before the first step, or a second one
        print("train.py: interrupted", file=sys.stderr, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)  # at once: winding JAX up in the middle of a compilation may crash


if __name__ == "__main__":
    main()
