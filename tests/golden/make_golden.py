#!/usr/bin/env python3
"""Writes original_small.json: loss curve and gradients of the first autoencoder at a sixteenth of its width.

Needs numpy and PyTorch (Debian: python3-torch), and is run by hand when the network's definition changes:

    /usr/bin/python3 tests/golden/make_golden.py

Everything is computed in double precision from fp32 starting weights, so that the file is the truth and not another
program's roundings. Weights and pictures come from the generator of kernels/philox.h, written again here in numpy, so
that the test can make the same ones and the file stays small. Layout and names are those of nn/architecture.cc: weights
[K,R,S,C] and [K,C], pictures [N,H,W,C], the dense layers see H, W, C flattened in this order.
"""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F

WEIGHT_SEED = 1
BATCH_SEED = 2
PEOPLE = ["one", "two"]
SAMPLES = 4  # per person
STEPS = 20
SIZE = 64
SLOPE = 0.1
LR, BETA1, BETA2, EPS = 5e-5, 0.5, 0.999, 1e-7
NARROWED = 16  # the widths below are the original's divided by this
DOWN = [128 // NARROWED, 256 // NARROWED, 512 // NARROWED, 1024 // NARROWED]
CODE = 1024 // NARROWED
LATENT = 1024 // NARROWED
INTER = 512 // NARROWED
UP = [256 // NARROWED, 128 // NARROWED, 64 // NARROWED]
ENTRIES = 8  # sampled gradient entries per parameter


def philox(seed, step, sample, blocks):
    """[blocks, 4] uint32: Philox4x32-10 at the counters (step, sample << 32 | index), key seed."""
    mask = np.uint64(0xFFFFFFFF)
    c = [
        np.full(blocks, step & 0xFFFFFFFF, np.uint64),
        np.full(blocks, step >> 32, np.uint64),
        np.arange(blocks, dtype=np.uint64),
        np.full(blocks, sample, np.uint64),
    ]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c[0]
        p1 = np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=1).astype(np.uint32)


def uniform(seed, step, sample, count):
    """The first `count` values of Random(seed, step, sample).uniform(): fp32 in [0, 1)."""
    words = philox(seed, step, sample, (count + 3) // 4).reshape(-1)[:count]
    return (words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def picture(step, sample):
    """(input, target), both [SIZE, SIZE, 3] in double.

    target[y, x, c] = 0.5 + 0.3 sin(2 pi (2 u[3c] x / SIZE + 2 u[3c+1] y / SIZE + u[3c+2]))
    input = target + 0.2 (u[9 + i] - 0.5) for element i, with u the values of Random(BATCH_SEED, step, sample).uniform()
    """
    u = uniform(BATCH_SEED, step, sample, 9 + SIZE * SIZE * 3).astype(np.float64)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    target = np.stack(
        [0.5 + 0.3 * np.sin(2 * np.pi * (2 * u[3 * c] * x + 2 * u[3 * c + 1] * y + u[3 * c + 2])) for c in range(3)], axis=-1
    )
    return target + 0.2 * (u[9:].reshape(SIZE, SIZE, 3) - 0.5), target


class Model:
    """Parameters are declared in the order of their first use, w before b, which numbers their streams."""

    def __init__(self):
        self.parameters = {}

    def weight(self, name, shape):
        if name not in self.parameters:
            # [K,R,S,C] or [K,C]: fan_in = R S C, fan_out = R S K.
            window = int(np.prod(shape[1:-1]))
            limit = np.float32(np.sqrt(6.0 / (window * (shape[0] + shape[-1]))))
            values = -limit + (limit + limit) * uniform(WEIGHT_SEED, 0, len(self.parameters), int(np.prod(shape)))
            self.parameters[name] = torch.tensor(values.astype(np.float64).reshape(shape), requires_grad=True)
        return self.parameters[name]

    def bias(self, name, k):
        if name not in self.parameters:
            self.parameters[name] = torch.zeros(k, dtype=torch.float64, requires_grad=True)
        return self.parameters[name]

    def conv(self, x, name, filters, kernel, stride=1):
        """x [N,C,H,W]. SAME padding at stride 2 is 1 before and 2 after, else symmetric."""
        w = self.weight(name + ".w", (filters, kernel, kernel, x.shape[1])).permute(0, 3, 1, 2)
        b = self.bias(name + ".b", filters)
        before, after = ((kernel - 2) // 2, (kernel - 1) // 2) if stride == 2 else (kernel // 2, kernel // 2)
        return F.conv2d(F.pad(x, (before, after, before, after)), w, b, stride=stride)

    def dense(self, x, name, units):
        w = self.weight(name + ".w", (units, x.shape[1]))
        return x @ w.T + self.bias(name + ".b", units)

    def up(self, x, name, filters):
        x = F.leaky_relu(self.conv(x, name, 4 * filters, 3), SLOPE)
        n, _, h, w = x.shape  # channels in the order (i, j, c): pixel (2h + i, 2w + j)
        return x.reshape(n, 2, 2, filters, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, filters, 2 * h, 2 * w)

    def encode(self, x):
        for i, filters in enumerate(DOWN):
            x = F.leaky_relu(self.conv(x, f"encoder.conv{i}", filters, 5, stride=2), SLOPE)
        x = x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)
        x = self.dense(x, "encoder.dense0", CODE)
        x = self.dense(x, "encoder.dense1", 4 * 4 * LATENT)
        x = x.reshape(-1, 4, 4, LATENT).permute(0, 3, 1, 2)
        return self.up(x, "encoder.up0", INTER)

    def decode(self, x, person):
        for i, filters in enumerate(UP):
            x = self.up(x, f"decoder.{person}.up{i}", filters)
        return torch.sigmoid(self.conv(x, f"decoder.{person}.out", 3, 5))

    def losses(self, step):
        """Mean absolute error of each person, in the order of PEOPLE."""
        pairs = [picture(step, i) for i in range(len(PEOPLE) * SAMPLES)]
        # The engine takes its pictures in fp32.
        inputs, targets = (torch.tensor(np.stack(p).astype(np.float32).astype(np.float64)) for p in zip(*pairs))
        latent = self.encode(inputs.permute(0, 3, 1, 2))
        out = []
        for i, person in enumerate(PEOPLE):
            rows = slice(i * SAMPLES, (i + 1) * SAMPLES)
            y = self.decode(latent[rows], person).permute(0, 2, 3, 1)
            out.append((y - targets[rows]).abs().mean())
        return out


def summary(values):
    """Norm, sum, and entries at fixed places spread over the tensor, flattened in its own order."""
    flat = values.detach().numpy().reshape(-1)
    places = sorted({(i * 2654435761) % flat.size for i in range(1, ENTRIES + 1)})
    return {
        "norm": float(np.linalg.norm(flat)),
        "sum": float(flat.sum()),
        "entries": [[p, float(flat[p])] for p in places],
    }


def main():
    assert [hex(v) for v in philox(0, 0, 0, 1)[0]] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    model = Model()
    with torch.no_grad():
        model.losses(0)  # declares the parameters
    start = {name: p.detach().clone() for name, p in model.parameters.items()}
    adam = torch.optim.Adam(model.parameters.values(), lr=LR, betas=(BETA1, BETA2), eps=EPS)
    curve, gradients = [], {}
    for step in range(STEPS):
        adam.zero_grad()
        losses = model.losses(step)
        sum(losses).backward()
        curve.append([float(l) for l in losses])
        if step == 0:
            gradients = {name: summary(p.grad) for name, p in model.parameters.items()}
        adam.step()
        if step == 0:
            first_change = {name: float((p.detach() - start[name]).norm()) for name, p in model.parameters.items()}
    record = {
        "made_by": "tests/golden/make_golden.py, double precision",
        "narrowed": NARROWED,
        "weight_seed": WEIGHT_SEED,
        "batch_seed": BATCH_SEED,
        "people": PEOPLE,
        "samples_per_person": SAMPLES,
        "adam": {"lr": LR, "beta1": BETA1, "beta2": BETA2, "eps": EPS},
        "weights": "parameter i: Random(weight_seed, 0, i).uniform(-limit, limit), limit = sqrt(6 / (R S C + R S K)); biases 0",
        "batch": " ".join(picture.__doc__.split()),
        "losses": curve,
        "parameters": [
            {
                "name": name,
                "shape": list(p.shape),
                "gradient": gradients[name],
                # How far the parameter has moved after the first and after the last step.
                "change": [first_change[name], float((p.detach() - start[name]).norm())],
            }
            for name, p in model.parameters.items()
        ],
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "original_small.json")
    with open(path, "w") as file:
        json.dump(record, file, indent=1)
        file.write("\n")
    print(f"{path}: {len(model.parameters)} parameters, losses {curve[0]} to {curve[-1]}")


if __name__ == "__main__":
    main()
