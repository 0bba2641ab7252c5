"""FLOPs of convolutions and products: equal to XLA's own count on the CPU, and the same as cuDNN and cuBLAS calls."""

import jax
import jax.numpy as jnp
import pytest

from hasnn_jax.planning.hlo_flops import matrix_flops
from hasnn_jax.planning.hlo_parser import parse_hlo


def flops(function, *sizes):
    """(counted in the text, by XLA) of a function of float32 arrays."""
    compiled = jax.jit(function).lower(*(jax.ShapeDtypeStruct(size, jnp.float32) for size in sizes)).compile()
    return matrix_flops(parse_hlo(compiled.as_text())), compiled.cost_analysis()["flops"]


def convolve(stride=1, pad=1, groups=1, dilation=1):
    return lambda x, w: jax.lax.conv_general_dilated(
        x,
        w,
        (stride, stride),
        ((pad, pad), (pad, pad)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@pytest.mark.parametrize("settings", [{}, {"stride": 2}, {"stride": 2, "pad": 0}, {"dilation": 2}, {"groups": 4}])
def test_convolution_has_the_flops_that_xla_counts(settings):
    counted, analysed = flops(convolve(**settings), (4, 7, 9, 8), (3, 3, 8 // settings.get("groups", 1), 16))
    assert counted == analysed > 0


@pytest.mark.parametrize("argument", [0, 1])
def test_gradient_of_a_convolution_has_the_flops_of_the_convolution(argument):
    # As the CPU runs them, one has zeros between its inputs, and the other a window as large as the image.
    forward = convolve(stride=2)
    both, _ = flops(jax.value_and_grad(lambda x, w: jnp.sum(forward(x, w) ** 2), argument), (4, 7, 9, 8), (3, 3, 8, 16))
    once, _ = flops(forward, (4, 7, 9, 8), (3, 3, 8, 16))
    assert both == 2 * once


def test_products_have_the_flops_that_xla_counts_as_often_as_they_run():
    assert flops(lambda x, y: jnp.einsum("bij,bjk->bik", x, y), (3, 4, 5), (3, 5, 6)) == (2 * 3 * 4 * 5 * 6,) * 2
    repeated, _ = flops(lambda x: jax.lax.scan(lambda x, _: (jnp.tanh(x @ x), None), x, None, length=5)[0], (8, 8))
    assert repeated == 5 * 2 * 8**3


# The same convolution, f32[4,7,9,8] by f32[3,3,8,16] with stride 2, as XLA's GPU compiler writes it and its gradients.
X, W, Y = "bf16[4,7,9,8]{3,2,1,0}", "bf16[16,3,3,8]{3,2,1,0}", "bf16[4,4,5,16]{3,2,1,0}"
CUDNN = 'window={size=3x3 stride=2x2 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$conv'


@pytest.mark.parametrize(
    ("kind", "operands", "result"),
    [("Forward", (X, W), Y), ("BackwardInput", (Y, W), X), ("BackwardFilter", (X, Y), W)],
)
def test_cudnn_call_has_the_flops_of_the_forward_convolution(kind, operands, result):
    lines = [f"  %p{i} = {shape} parameter({i})" for i, shape in enumerate(operands)]
    lines.append(f'  %conv = ({result}, u8[64]{{0}}) custom-call(%p0, %p1), {CUDNN}{kind}", metadata={{}}')
    text = "\n".join(["ENTRY %main (p: f32[8]) -> f32[8] {", *lines, "}"])
    assert matrix_flops(parse_hlo(text)) == flops(convolve(stride=2), (4, 7, 9, 8), (3, 3, 8, 16))[1]


def test_cublas_call_and_product_in_a_fusion_have_the_flops_of_the_product():
    config = '{"gemm_backend_config":{"alpha_real":1,"dot_dimension_numbers":{"lhs_contracting_dimensions":["0"]}}}'
    text = f"""%fused (a: bf16[32,64], b: bf16[32,10]) -> bf16[64,10] {{
  %a = bf16[32,64]{{1,0}} parameter(0)
  %b = bf16[32,10]{{1,0}} parameter(1)
  ROOT %dot = bf16[64,10]{{1,0}} dot(%a, %b), lhs_contracting_dims={{0}}, rhs_contracting_dims={{0}}
}}
ENTRY %main (x: bf16[32,64], y: bf16[32,10]) -> bf16[64,10] {{
  %x = bf16[32,64]{{1,0}} parameter(0)
  %y = bf16[32,10]{{1,0}} parameter(1)
  %gemm = (bf16[64,10]{{1,0}}, s8[4096]{{0}}) custom-call(%x, %y), custom_call_target="__cublas$gemm", \
backend_config={config}
  %sort = (bf16[32,64]{{1,0}}) custom-call(%x, %y), custom_call_target="__cub$Sort"
  ROOT %triton = bf16[64,10]{{1,0}} fusion(%x, %y), kind=kCustom, calls=%fused
}}
"""
    assert matrix_flops(parse_hlo(text)) == 2 * (2 * 64 * 10 * 32)


@pytest.mark.parametrize("quote", [r"\22", '"'])
def test_a_kernel_of_this_project_says_what_it_does(quote):
    said = "{" + f"{quote}flops{quote}: {quote}512{quote}" + "}"
    line = (
        "ENTRY %main (x: f32[4]) -> f32[4] {{\n  %x = f32[4]{{0}} parameter(0)\n  ROOT %y = f32[4]{{0}} "
        'custom-call(%x), custom_call_target="__gpu$xla.gpu.triton", backend_config={{grid_x = 2 : i32{said}}}\n}}\n'
    )
    assert matrix_flops(parse_hlo(line.format(said=f', serialized_metadata = "{said}"'))) == 512
    assert matrix_flops(parse_hlo(line.format(said=""))) == 0
