"""What training costs on a TPU slice that is not here: python -m hasnn_jax.plan --config FILE --topology v5e:16x16.

Compiles the training step for the slice, which takes minutes, and says whether it fits, how long a step takes by the
compiler's own estimate, and how many days that makes. Settings are overridden as for train.py, such as
--config.batch_size=4096. The answer is kept, until something changes that it depends on. With --find_batch it finds the
largest batch that fits; --topology local plans for the devices of this machine, without an estimate of time.

That it does not fit is an answer, too: the exit status is 0. It is 1 for an error, which is one line on stderr.
"""

import json
import signal
import sys
from collections.abc import Callable

from absl import app, flags, logging
from ml_collections import ConfigDict

from hasnn_jax.command_line import config_fault, define_config, flags_parser
from hasnn_jax.errors import InputError
from hasnn_jax.planning.answer import describe
from hasnn_jax.planning.cache import CACHE
from hasnn_jax.planning.devices import LOCAL, ask_for_no_tpu, find_target, known_topologies
from hasnn_jax.planning.find_batch import find_batch
from hasnn_jax.planning.messages import tell
from hasnn_jax.planning.one_batch import plan


def main() -> None:
    """The command."""
    missing = "--config is missing, as in: --config configs/imagenet.py --topology v5e:16x16"
    if error := config_fault(sys.argv, missing):
        sys.exit(f"hasnn_jax.plan: {error}")
    argv, config = define_config(sys.argv)
    given = {
        "topology": flags.DEFINE_string("topology", None, f"the TPU slice, such as v5e:16x16; or {LOCAL}"),
        "examples": flags.DEFINE_integer("examples", None, "training examples; by default those of the data", 1),
        "find_batch": flags.DEFINE_bool("find_batch", False, "find the largest batch that fits"),
        "cache_dir": flags.DEFINE_string("cache_dir", CACHE, "folder that answers are kept in"),
        "json": flags.DEFINE_bool("json", False, "print the answer as JSON"),
    }
    app.run(lambda rest: run(rest, config, given), argv, flags_parser=flags_parser("hasnn_jax.plan"))


def run(argv: list[str], config: Callable[[], ConfigDict], given: dict[str, flags.FlagHolder]) -> None:
    """Plans as the flags say."""
    logging.set_verbosity(logging.FATAL)
    values = {name: holder.value for name, holder in given.items()}
    try:
        if len(argv) > 1:
            raise InputError(f"unexpected argument {argv[1]!r}; settings are given as --config.KEY=VALUE")
        if values["topology"] is None:
            raise InputError(f"--topology is missing; {known_topologies()}")
        if values["topology"] != LOCAL:
            ask_for_no_tpu()
        target = find_target(values["topology"])
        act = find_batch if values["find_batch"] else plan
        answer = act(config(), target, examples=values["examples"], cache=values["cache_dir"], say=tell)
    except InputError as error:
        sys.exit(f"hasnn_jax.plan: {error}")
    print(json.dumps(answer, indent=2) if values["json"] else describe(answer))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while the compiler works, Python would not hear of it
    main()
