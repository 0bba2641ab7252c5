"""Activity of a network with depthwise convolutions and squeeze-and-excitation."""

from tiny_models import drawn_variables, random_images, tiny_efficientnet

from hasnn_jax.analysis.activity import measure_activity
from hasnn_jax.analysis.layer_costs import model_cost


def test_squeezes_multiply_and_all_other_spiking_layers_accumulate():
    model, images = tiny_efficientnet(stem="imagenet"), random_images(2)
    activity = measure_activity(model, drawn_variables(model, images), [images])
    costs = {layer.name: layer for layer in model_cost(model, images.shape[1:]).layers}
    block = "stage1_block1/snn"  # without an expansion: its depthwise convolution receives the encoder's planes

    assert list(activity.layers) == list(costs)
    assert [name for name in activity.neurons if name.startswith(block)] == [
        f"{block}/{layer}"
        for layer in ("depthwise_conv", "squeeze_excite/squeeze", "squeeze_excite/excite", "narrow_conv")
    ]
    for name, operations in activity.layers.items():
        assert operations.synaptic <= 2 * costs[name].macs_on_values
        fractions = name.endswith("squeeze") or "snn" not in name  # means over space are no spikes
        assert sum(operations.macs) > 0 if fractions else sum(operations.macs) == 0 < sum(operations.acs), name
