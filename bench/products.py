"""fp32 products of a tile of 64 rows by MKL and by oneDNN, as the sweep makes them: rate, error against fp64, and
whether a row's bits depend on its place. One thread, ten seconds."""

import time

import numpy as np
import torch

ROWS = 64
LIBRARIES = {"MKL": lambda x, w: torch.mm(x, w.t()),
             "oneDNN": lambda x, w: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")}


def rate(multiply, x, w, rounds=5):
    """Best FLOP/s of some rounds."""
    flop, best = 2 * x.shape[0] * w.numel(), 0
    times = max(1, int(5e8 / flop))
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(times):
            multiply(x, w)
        best = max(best, flop * times / (time.perf_counter() - start))
    return best


def depends_on_place(multiply, x, w):
    """Whether equal rows get different bits, or rows that change places."""
    equal = multiply(x[:1].expand(ROWS, -1).contiguous(), w)
    return not (equal == equal[0]).all() or not torch.equal(multiply(x.roll(13, 0), w).roll(-13, 0), multiply(x, w))


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("in x out         " + "".join(f"{name:>10} GFLOP/s, error" for name in LIBRARIES))
    for size in (64, 192, 256, 512, 768, 1024, 2048, 4096, 14336):
        x, w = torch.randn(ROWS, size), torch.randn(512, size)
        exact = LIBRARIES["MKL"](x.double(), w.double())
        found = [(rate(multiply, x, w), (multiply(x, w) - exact).square().mean().sqrt().item()) for multiply in LIBRARIES.values()]
        print(f"{size:5} x 512      " + "".join(f"{r / 1e9:18.1f}, {e:.1e}" for r, e in found) + f"   errors 1 : {found[1][1] / found[0][1]:.2f}")

    sizes = (16, 24, 64, 100, 128, 256, 384, 512, 640, 768, 1024, 1408, 1536, 2048, 2880, 3072, 4096, 5120, 6144, 7168, 8192, 10240,
             11008, 14336, 16384, 22016)
    columns = (1, 4, 8, 9, 16, 24, 48, 60, 64, 96, 100, 128, 151, 160, 192, 256, 300, 320, 384, 448, 512)
    bad = np.zeros(len(LIBRARIES), int)
    for size in sizes:
        for out in columns:
            x, w = torch.randn(ROWS, size), torch.randn(out, size)
            bad += [depends_on_place(multiply, x, w) for multiply in LIBRARIES.values()]
    print(f"of {len(sizes) * len(columns)} shapes a row's bits depend on its place in", dict(zip(LIBRARIES, bad.tolist())))


if __name__ == "__main__":
    main()
