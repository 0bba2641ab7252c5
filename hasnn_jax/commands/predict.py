"""`hasnn predict`: the likeliest classes of pictures."""

import argparse
import json
import pathlib
import warnings
from typing import Any

from hasnn_jax.commands import run_options
from hasnn_jax.commands.command import Command, Options
from hasnn_jax.common.chunks import in_chunks
from hasnn_jax.common.console import say
from hasnn_jax.common.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    run_options.add_weights(parser)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files, folders of them, or - for one on standard input"
    )
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="how many classes to name; default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each image, one a line")
    parser.add_argument(
        "--picture",
        type=pathlib.Path,
        metavar="OUT.png",
        help="draw what the model computes from the image: planes, spikes over time, both paths",
    )


def run(options: Options) -> None:
    """Prints a line for each image."""
    from hasnn_jax.inference.loaded_model import BATCH_WIDE, CHUNK
    from hasnn_jax.inference.pictures import find_pictures

    if options.top < 1:
        raise InputError(f"--top: expected 1 or more classes, got {options.top}")
    names = find_pictures(options.images)
    if options.picture is not None:
        _require_drawable(options.picture, len(names))
    model = run_options.load_model(options)
    if model.classes is None:
        raise InputError(
            f"{options.weights}: has no class names (they were not saved with weights before); give them by --classes "
            "FILE, a name a line"
        )
    if model.depends_on_batch:
        say(f"{BATCH_WIDE}; each image is computed alone here")
    unreadable: list[InputError] = []
    for chunk in in_chunks(names, 1 if model.depends_on_batch else CHUNK):
        known = len(unreadable)
        _predict(model, chunk, options, unreadable)
        if len(names) == 1 and unreadable:
            raise unreadable[0]
        for error in unreadable[known:]:
            say(str(error))
    if unreadable:
        raise InputError(f"{len(unreadable)} of {len(names)} images could not be read; they are named above")


def _predict(model: Any, names: list[str], options: Options, unreadable: list[InputError]) -> None:
    """Prints the classes of some images; those that cannot be read are named and added to the list."""
    from hasnn_jax.inference.pictures import read_pictures

    readable, images = read_pictures(names, model, unreadable.append)
    if not readable:
        return
    if options.picture is not None:
        _predict_and_draw(model, readable[0], images, options)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said once already
        probabilities = model.predict(images)
    for name, each in zip(readable, probabilities, strict=True):
        print(_line(name, each, model.classes, options), flush=True)


def _line(name: str, probabilities: Any, classes: tuple[str, ...], options: Options) -> str:
    best = sorted(range(len(classes)), key=lambda i: -probabilities[i])[: options.top]
    if options.json:
        named = [{"class": classes[i], "index": i, "probability": float(probabilities[i])} for i in best]
        return json.dumps({"image": name, "classes": named})
    return f"{name}: " + ", ".join(f"{classes[i]} {probabilities[i]:.1%}" for i in best)


def _require_drawable(picture: pathlib.Path, images: int) -> None:
    if images != 1:
        raise InputError(f"--picture: draws one image, got {images}; name one")
    run_options.require_new_file(picture)


def _predict_and_draw(model: Any, name: str, images: Any, options: Options) -> None:
    """Prints the classes of one image, and draws how they came about: from one computation, compiled once."""
    import jax

    from hasnn_jax.analysis.prediction_plots import plot_prediction
    from hasnn_jax.common.files import replacing
    from hasnn_jax.inference.loaded_model import probabilities_of

    features = model.features(images)
    probabilities = jax.device_get(probabilities_of(features["logits"]))[0]
    print(_line(name, probabilities, model.classes, options), flush=True)
    figure = plot_prediction(images[0], features, probabilities, model.classes, f"{model.name}: {name}")
    with replacing(options.picture) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
    say(f"drawn in {options.picture}")


COMMAND = Command(
    summary="classify pictures with a trained model",
    description="Prints the likeliest classes of each image, with probabilities. Images are resized and cropped as in "
    "the evaluation of the run.",
    examples=(
        "hasnn predict runs/digits some.png --picture why.png",
        "hasnn predict runs/cifar100 ~/pictures --top 3 --json",
    ),
    add_arguments=add_arguments,
    run=run,
)
