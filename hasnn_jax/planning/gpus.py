"""The GPUs that training can be planned for: speed, memory and what XLA has to know to compile for them."""

import dataclasses

from hasnn_jax.planning.chips import GIB

KIB, MIB = 2**10, 2**20
MOST_GPUS = 8  # that NVLink connects in one HGX machine
# JAX allocates this share of a GPU's memory when it starts, unless XLA_CLIENT_MEM_FRACTION or, in older versions,
# XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise. The driver keeps 1.5 % at most: an H100 reports 79.1 of its 80 GiB.
JAX_SHARE = 0.75
REPORTED_SHARE = 0.985


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One NVIDIA data centre GPU, in its SXM form.

    Attributes:
      name: its `device_kind`.
      flops: published peak of bfloat16 matrix products in FLOP/s, for dense matrices. NVIDIA's data sheets give twice
        as much for matrices of which half is zero.
      memory: published, in bytes; its gigabytes are 2^30 bytes.
      bandwidth: of the memory, published, in bytes/s.
      clock: at which the tensor cores reach the published peak, in Hz: the peak divided by multiprocessors and
        `tensor_flops`.
      tensor_flops: FLOPs that the tensor cores of a multiprocessor do per cycle, for bfloat16.
      multiprocessors: how many streaming multiprocessors (SMs) there are.
      cores: CUDA cores of a multiprocessor.
      cache: L2, in bytes.
      shared: memory that the thread blocks of a multiprocessor share, in bytes; a single block can have 1 KiB less.
      capability: (major, minor) compute capability.
    """

    name: str
    flops: float
    memory: float
    bandwidth: float
    clock: float
    tensor_flops: int
    multiprocessors: int
    cores: int
    cache: int
    shared: int
    capability: tuple[int, int]

    @property
    def reported(self) -> float:
        """Bytes of memory that the driver reports, at least."""
        return REPORTED_SHARE * self.memory


# Peak, memory and bandwidth: NVIDIA's data sheets of A100 (80GB SXM), H100 (SXM), H200 (SXM) and DGX B200 (an eighth of
# it). Multiprocessors, cores, cache and tensor cores: the architecture whitepapers of A100 and H100; B200 from device
# queries. Shared memory and capability: CUDA C++ Programming Guide, technical specifications per compute capability.
GPUS = {
    "a100": Gpu("NVIDIA A100-SXM4-80GB", 312e12, 80 * GIB, 2039e9, 1.41e9, 2048, 108, 64, 40 * MIB, 164 * KIB, (8, 0)),
    "h100": Gpu("NVIDIA H100 80GB HBM3", 989.4e12, 80 * GIB, 3350e9, 1.83e9, 4096, 132, 128, 50 * MIB, 228 * KIB,
                (9, 0)),
    "h200": Gpu("NVIDIA H200", 989.4e12, 141 * GIB, 4800e9, 1.83e9, 4096, 132, 128, 50 * MIB, 228 * KIB, (9, 0)),
    "b200": Gpu("NVIDIA B200", 2250e12, 180 * GIB, 8000e9, 1.856e9, 8192, 148, 128, 126 * MIB, 228 * KIB, (10, 0)),
}  # fmt: skip


def target_config(gpu: Gpu, dnn_version: tuple[int, int, int]) -> str:
    """The GPU as XLA's compiler takes it, a `GpuTargetConfigProto` in text form.

    Args:
      gpu: the GPU.
      dnn_version: of the cuDNN library that the program will run with.
    """
    # Limits that NVIDIA's GPUs of all these generations have in common: CUDA C++ Programming Guide, as above.
    device = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "threads_per_core_limit": 2048,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 2**16 - 1,
        "block_dim_limit_z": 2**16 - 1,
        "registers_per_core_limit": 2**16,
        "registers_per_block_limit": 2**16,
        "shared_memory_per_block": 48 * KIB,
        "shared_memory_per_block_optin": gpu.shared - KIB,
        "shared_memory_per_core": gpu.shared,
        "core_count": gpu.multiprocessors,
        "fpus_per_core": gpu.cores,
        "memory_bandwidth": int(gpu.bandwidth),
        "l2_cache_size": gpu.cache,
        "clock_rate_ghz": gpu.clock / 1e9,
        "device_memory_size": int(gpu.reported),
    }
    major, minor = gpu.capability
    library = " ".join(f"{name}: {n}" for name, n in zip(("major", "minor", "patch"), dnn_version, strict=True))
    return "\n".join(
        [
            "gpu_device_info {",
            f"  cuda_compute_capability {{ major: {major} minor: {minor} }}",
            *(f"  {name}: {value}" for name, value in device.items()),
            "}",
            'platform_name: "CUDA"',
            f"dnn_version_info {{ {library} }}",
            f'device_description_str: "{gpu.name}"',
        ]
    )
