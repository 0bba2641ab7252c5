"""Models with a few thousand parameters, and variables for them that need no compilation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import hasnn_jax
from hasnn_jax.models import HybridEfficientNet, HybridMobileNetV2, LayerFactory
from hasnn_jax.models.inverted_residual import Stage

SPECS = {"described": hasnn_jax.AS_DESCRIBED, "released": hasnn_jax.AS_RELEASED}


def tiny_vgg(**kwargs):
    """Two blocks of 3 channels and the head; the images need at least 4x4 pixels."""
    return hasnn_jax.create_model("has8_vgg_b1_m1_d1", num_classes=5, **kwargs)


def tiny_resnet(**kwargs):
    """The small stem, followed by four basic blocks of 2 to 16 channels."""
    return hasnn_jax.create_model("has8_resnet10_b2", num_classes=5, **{"stem": "small", **kwargs})


def tiny_mobilenet(**kwargs):
    """The small stem, inverted residuals of 16, 24 and 24 channels, and a layer of 1280. The last of the three adds."""
    return tiny_inverted_residuals(HybridMobileNetV2, **kwargs)


def tiny_efficientnet(**kwargs):
    """The same with squeeze-and-excitation, 5x5 kernels, and a last layer of 320 channels."""
    return tiny_inverted_residuals(HybridEfficientNet, kernel=5, **kwargs)


def tiny_inverted_residuals(family, *, kernel=3, stem="small", **kwargs):
    stages = (Stage(1, 3, 1, 64, 1), Stage(2, kernel, 2, 96, 2))
    return family(5, width=0.25, stages=stages, stem=stem, layers=LayerFactory(**kwargs))


def random_images(batch=4, size=8, channels=3, seed=0):
    """Different random images: float32 in [0, 1], [B, H, W, C]."""
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.random((batch, size, size, channels)), jnp.float32)


def abstract_variables(model, images=None):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32) if images is None else images
    return jax.eval_shape(lambda x: model.init(jax.random.key(0), x), images)


def drawn_variables(model, images, seed=0):
    """Random variables: kernels large enough that neurons fire; norms and running statistics other than 0 and 1."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        kind = path[-1].key
        if kind == "kernel":
            values = rng.normal(0.2, 1, leaf.shape) * np.sqrt(2 / np.prod(leaf.shape[:-1]))
        elif kind in ("scale", "var"):
            values = rng.uniform(0.8, 1.2, leaf.shape)
        elif kind == "high":
            values = np.float64(1.5)
        elif kind == "low":
            values = np.float64(-0.2)
        else:
            values = rng.normal(0.1, 0.3, leaf.shape)
        return jnp.asarray(values, jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, abstract_variables(model, images))


@functools.partial(jax.jit, static_argnums=0)
def evaluate(model, variables, images):
    return model.apply(variables, images, train=False)


@functools.partial(jax.jit, static_argnums=0)
def train(model, variables, images):
    """Logits and the updated batch_stats of one training call."""
    logits, updates = model.apply(variables, images, train=True, mutable=["batch_stats"])
    return logits, updates.get("batch_stats", {})


@functools.partial(jax.jit, static_argnums=0)
def parameter_gradients(model, variables, images):
    def loss(params):
        logits, _ = model.apply({**variables, "params": params}, images, train=True, mutable=["batch_stats"])
        targets = jax.nn.one_hot(jnp.arange(logits.shape[0]) % logits.shape[1], logits.shape[1])
        return -jnp.sum(targets * jax.nn.log_softmax(logits))

    return jax.grad(loss)(variables["params"])


def leaf_names(tree):
    return {jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)}
