"""Folders of weights of tiny networks, saved without training."""

import jax
import numpy as np
from tiny_models import drawn_variables, random_images

import hasnn_jax
from hasnn_jax.checkpoints.weights import save_weights

CLASSES = ("ant", "bee", "cow", "dog", "elk")
NAME = "has8_vgg_b1_m1_d1"


def save_small_weights(
    path, spec="as_described", *, channels=3, size=8, classes=CLASSES, paths=("ann", "snn"), **settings
):
    """Weights of a tiny VGG for images of 8 pixels and five classes."""
    model = hasnn_jax.create_model(NAME, 5, paths=paths, spiking=hasnn_jax.spiking_spec(spec))
    variables = drawn_variables(model, random_images(1, size, channels))
    about = {"name": NAME, "num_classes": 5, "stem": "imagenet", "paths": list(paths), "spiking.spec": spec}
    save_weights(
        path, jax.tree.map(np.asarray, variables), {**about, "image_size": size, "classes": classes, **settings}
    )
    return path


def byte_images(batch, size=8, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, size, size, channels), np.uint8)
