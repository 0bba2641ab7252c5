"""Augmentation and mixing give what torchvision's `transforms.v2` gives, for the same random numbers."""

import types

import jax.numpy as jnp
import numpy as np
import pytest
from peers_torchvision import import_torchvision
from PIL import Image

from hasnn_jax.data.randaugment import OPERATIONS, randaugment
from hasnn_jax.data.transforms import erase
from hasnn_jax.training.mixing import cutmix_of, mix_images, mix_labels, mixup_of

torch = pytest.importorskip("torch")


v2 = import_torchvision("torchvision.transforms.v2")
NAMES = dict(zip(OPERATIONS, v2.RandAugment._AUGMENTATION_SPACE, strict=True))  # ours to theirs, in the same order
SHAPES = [(37, 23, 3), (8, 8, 1), (64, 80, 1), (40, 40, 3)]


def draw_image(shape, seed=0):
    """A smooth image with noise: all values occur, and neighbours are alike."""
    rng = np.random.default_rng(seed)
    height, width, channels = shape
    rows, columns = np.mgrid[:height, :width]
    waves = 127 + 90 * np.sin(rows / 5)[..., None] * np.cos(columns / 7 + 1)[..., None] * np.ones(channels)
    return np.clip(waves + rng.normal(0, 30, shape), 0, 255).astype(np.uint8)


def to_pillow(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def theirs(image, name, strength):
    """The operation as torchvision's RandAugment applies it to a Pillow image or a tensor."""
    policy = v2.RandAugment()
    return policy._apply_image_or_video_transform(image, NAMES[name], strength, policy.interpolation, policy._fill)


def test_the_operations_are_theirs_by_name_and_sign():
    for name, other in NAMES.items():
        assert name.replace("_", "") == other.lower()
        assert OPERATIONS[name].signed == v2.RandAugment._AUGMENTATION_SPACE[other][1]


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_strengths_are_theirs_at_every_magnitude_and_size(name):
    for width, height in [(n, n + 1) for n in range(1, 700, 7)] + [(331, 662), (224, 224), (32, 32)]:
        strengths = v2.RandAugment._AUGMENTATION_SPACE[NAMES[name]][0](31, height, width)
        for magnitude in range(31):
            strength = OPERATIONS[name].strength(magnitude, (width, height))
            if strengths is None:
                assert strength == 0
            else:
                assert strength == float(strengths[magnitude])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_gives_their_bytes_for_pillow_images(name, shape):
    operation, image = OPERATIONS[name], to_pillow(draw_image(shape))
    for magnitude in range(31):
        for sign in (1, -1) if operation.signed else (1,):
            strength = sign * operation.strength(magnitude, image.size)
            np.testing.assert_array_equal(operation.apply(image, strength), theirs(image, name, strength))


# torchvision's operations on tensors are written anew and round in other places: contrast takes the mean as a float
# where Pillow rounds it. When it rotates or shears, other pixels are the nearest where two are about equally near. And
# solarize compares in float32, where a threshold just above a whole value is that value.
ROUNDING = {"brightness": 1, "color": 2, "contrast": 2, "sharpness": 1, "auto_contrast": 1}
ODD_PIXELS = {"rotate": 0.05, "shear_x": 0.05, "shear_y": 0.05, "solarize": 0.02}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_gives_their_numbers_for_tensors_up_to_rounding(name, shape):
    operation, image = OPERATIONS[name], draw_image(shape)
    for magnitude in range(0, 31, 3):
        for sign in (1, -1) if operation.signed else (1,):
            strength = sign * operation.strength(magnitude, (shape[1], shape[0]))
            tensor = theirs(torch.from_numpy(image.transpose(2, 0, 1).copy()), name, strength)
            other = tensor.numpy().transpose(1, 2, 0).astype(int)
            ours = np.asarray(operation.apply(to_pillow(image), strength)).reshape(shape).astype(int)
            odd = np.abs(ours - other) > ROUNDING.get(name, 0)
            assert odd.mean() <= ODD_PIXELS.get(name, 0), (magnitude, sign)


class TorchDraws:
    """Draws from PyTorch's generator as torchvision does, in the shape of a NumPy generator."""

    def random(self):
        return float(torch.rand(()))

    def uniform(self, low, high):
        return torch.empty(1).uniform_(low, high).item()

    def integers(self, low, high=None):
        if high is None:
            return int(torch.randint(low, ()))
        return np.array([int(torch.randint(low, end, size=(1,))) for end in high])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "magnitude"), [(2, 9), (3, 30), (1, 0)])
def test_randaugment_is_theirs_for_the_same_draws(shape, count, magnitude):
    policy = v2.RandAugment(count, magnitude)
    for seed in range(60):
        image = draw_image(shape, seed)
        torch.manual_seed(seed)
        expected = np.asarray(policy(to_pillow(image))).reshape(shape)
        torch.manual_seed(seed)
        np.testing.assert_array_equal(randaugment(image, count, magnitude, TorchDraws()), expected)


@pytest.mark.parametrize("shape", [*SHAPES, (4, 30, 3), (1, 5, 1)])
@pytest.mark.parametrize("probability", [1.0, 0.4])
def test_random_erasing_is_theirs_for_the_same_draws(shape, probability):
    transform = v2.RandomErasing(probability)
    changed = 0
    for seed in range(100):
        image = draw_image(shape, seed) | 1
        torch.manual_seed(seed)
        expected = transform(torch.from_numpy(image.transpose(2, 0, 1).copy())).numpy().transpose(1, 2, 0)
        torch.manual_seed(seed)
        np.testing.assert_array_equal(erase(image, probability, TorchDraws()), expected)
        changed += not np.array_equal(image, expected)
    assert changed > 20 or shape == (1, 5, 1)


def draw_batch():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 14, 18, 3)).astype(np.float32) / 255
    return images, rng.integers(0, 5, 6).astype(np.int32)


def mix_theirs(transform, images, labels):
    mixed, targets = transform(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels).long())
    return mixed.numpy().transpose(0, 2, 3, 1), targets.numpy()


SHARES = [0.0, 0.07, 0.5, 0.62, 0.98, 1.0]


def with_share(transform, share):
    """The transform, which draws this share instead of a random one."""
    transform._dist = types.SimpleNamespace(sample=lambda shape: torch.tensor([share]))
    return transform


@pytest.mark.parametrize("share", SHARES)
def test_mixup_is_theirs(share):
    images, labels = draw_batch()
    mixed, targets = mix_theirs(with_share(v2.MixUp(num_classes=5), share), images, labels)
    mix = mixup_of(share)
    np.testing.assert_allclose(mix_images(jnp.asarray(images), mix), mixed, rtol=0, atol=1e-6)
    np.testing.assert_allclose(mix_labels(jnp.asarray(labels), mix, 5)[0], targets, rtol=0, atol=1e-6)


@pytest.mark.parametrize("share", SHARES)
def test_cutmix_is_theirs(share):
    images, labels = draw_batch()
    height, width = images.shape[1:3]
    transform = with_share(v2.CutMix(num_classes=5), share)
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, targets = mix_theirs(transform, images, labels)
        torch.manual_seed(seed)
        column, row = (int(torch.randint(size, (1,))) for size in (width, height))
        mix = cutmix_of(jnp.float32(share), jnp.array([row, column]), height, width)
        np.testing.assert_array_equal(mix_images(jnp.asarray(images), mix), mixed)
        np.testing.assert_allclose(mix_labels(jnp.asarray(labels), mix, 5)[0], targets, rtol=0, atol=1e-6)
