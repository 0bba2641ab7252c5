"""Other backbones than the paper's, as hybrids and as their ANN twins."""

from ml_collections import ConfigDict

from hasnn_jax.experiments.experiment import Experiment, Variant

SMALL_IMAGE = 64  # pixels; up to here the mobile families start at stride 1
# Narrow ones, so that all are affordable where the base config's model is.
MODELS = {"mobilenetv2": "has8_mobilenetv2_035", "efficientnet_b0": "has8_efficientnet_b0_025"}
# As described, a gradient grows 569-fold in each of their 19 and 18 blocks, beyond what float32 holds.
SPEC = {"model.spiking.spec": "as_recommended"}


def variants(base: ConfigDict) -> tuple[Variant, ...]:
    """The base config's model and the mobile ones, each as a hybrid and as its ANN twin."""
    stem = "small" if base.data.image_size <= SMALL_IMAGE else "imagenet"
    mobile = {key: (name, {**SPEC, "model.name": name, "model.stem": stem}) for key, name in MODELS.items()}
    models = {"configured": (base.model.name, SPEC), **mobile}
    ann = {"model.paths": ("ann",)}
    hybrids = [Variant(key, of, f"{name}, hybrid") for key, (name, of) in models.items()]
    twins = [Variant(f"{key}_ann", {**of, **ann}, f"{name}, ANN") for key, (name, of) in models.items()]
    return (*hybrids, *twins)


EXPERIMENT = Experiment(
    name="backbones",
    question="Does a spiking path beside every stage help MobileNetV2 and EfficientNet-B0, as against their ANN twins?",
    paper="",
    baseline="configured",
    variants=variants,
    tradeoff=True,
)
