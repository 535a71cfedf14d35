"""A training step in PyTorch as doppel does it: warps, losses, optimiser, running average; and the clock around it."""

import copy
import math
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from pytorch_network import SIZE, Decoder, Encoder

FACES, FACE_SIZE, NODES = 32, 256, 5
ROTATION, ZOOM, SHIFT, FLIP, JITTER, INNER = math.radians(10), 0.05, 0.05, 0.4, 5.0, 160.0


class Warp:
    """doppel's warp augmentation in batched tensor operations; the bilinear sampling is PyTorch's own."""

    def __init__(self, faces):
        self.faces = faces  # [people, FACES, 3, FACE_SIZE, FACE_SIZE] in 0..1
        device = faces.device
        # Interpolation between the nodes at each of the 2 x 2 taps of each output pixel.
        taps = (torch.arange(2 * SIZE) + 0.5) / (2 * SIZE) * (NODES - 1)
        cell = taps.floor().clamp(max=NODES - 2)
        blend = torch.zeros(2 * SIZE, NODES)
        rows = torch.arange(2 * SIZE)
        blend[rows, cell.long()] = 1 - (taps - cell)
        blend[rows, cell.long() + 1] = taps - cell
        axis = torch.linspace(-0.5, 0.5, NODES)
        regular = torch.complex(*reversed(torch.meshgrid(axis, axis, indexing="ij")))  # [row, column]
        self.blend, self.regular = blend.to(device), regular.to(device)

    def __call__(self, batch):
        people, device = self.faces.shape[0], self.faces.device
        n = people * batch
        pick = torch.randint(FACES, (people, batch), device=device)
        faces = torch.cat([self.faces[p].index_select(0, pick[p]) for p in range(people)])

        def uniform(limit):
            return (torch.rand(n, 1, 1, device=device) * 2 - 1) * limit

        def normal():
            return torch.randn(n, NODES, NODES, device=device)

        turn = torch.polar(1 + uniform(ZOOM), uniform(ROTATION)).reciprocal()
        shift = torch.complex(uniform(SHIFT * FACE_SIZE), uniform(SHIFT * FACE_SIZE))
        mirrored = torch.rand(n, 1, 1, device=device) < FLIP
        moved = self.regular * INNER + torch.complex(normal(), normal()) * JITTER
        # Least squares over the complex numbers, from the moved nodes to the regular ones; the target uses its inverse.
        centre = moved.mean((1, 2), keepdim=True)
        around = moved - centre
        fit = (self.regular * around.conj()).sum((1, 2), keepdim=True) / around.abs().square().sum((1, 2), keepdim=True)
        target = self.regular / fit + centre

        def sample(nodes):
            nodes = (nodes - shift) * turn
            x = torch.where(mirrored, -nodes.real, nodes.real)
            grid = torch.stack([x, nodes.imag], 1) * (2 / FACE_SIZE)  # [n, 2, row, column], -1..1 across the face
            grid = self.blend @ grid @ self.blend.T
            taps = F.grid_sample(faces, grid.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
            return F.avg_pool2d(taps, 2)

        return sample(moved), sample(target)


def dssim(y, t, window):
    """Mean (1 - SSIM) / 2 over the windows inside the picture: separable Gaussian, sigma 1.5."""
    n, c, h, w = y.shape
    taps = torch.exp(-((torch.arange(window, device=y.device) - window // 2) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()
    maps = torch.stack([y, t, y * y, t * t, y * t]).view(5 * n * c, 1, h, w)
    maps = F.conv2d(F.conv2d(maps, taps.view(1, 1, window, 1)), taps.view(1, 1, 1, window))
    my, mt, yy, tt, yt = maps.view(5, -1)
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * my * mt + c1) * (2 * (yt - my * mt) + c2)
    ssim = ssim / ((my * my + mt * mt + c1) * (yy - my * my + tt - mt * mt + c2))
    return (1 - ssim.mean()) / 2


class Trainer:
    """`adam`: options of torch.optim.Adam beyond the architecture's."""

    def __init__(self, a, precision, layout, adam, warp):
        self.a, self.bf16, self.layout, self.warp = a, precision == "bf16", layout, warp
        self.device = warp.faces.device
        self.encoder, self.decoders = Encoder(a), [Decoder(a) for _ in range(2)]
        self.modules = nn.ModuleList([self.encoder, *self.decoders]).to(self.device, memory_format=layout)
        options = dict(lr=a["lr"], betas=a["betas"], eps=1e-7)
        self.adam = torch.optim.Adam(self.modules.parameters(), **options, **adam)
        self.average = copy.deepcopy(self.modules) if a["average"] else None
        self.loss = self.network_and_loss

    def network_and_loss(self, x, t):
        a = self.a
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            latent = self.encoder(x.contiguous(memory_format=self.layout))
            ys = [d(part) for d, part in zip(self.decoders, latent.split(a["batch"]))]
        loss = 0
        for y, target in zip(ys, t.split(a["batch"])):
            loss = loss + (y - target).abs().mean()
            if a["dssim"]:
                loss = loss + a["dssim"] * dssim(y, target, a["window"])
        return loss

    def step(self):
        x, t = self.warp(self.a["batch"])
        self.adam.zero_grad(set_to_none=True)
        self.loss(x, t).backward()
        self.adam.step()
        if self.average is not None:
            with torch.no_grad():
                for mean, p in zip(self.average.parameters(), self.modules.parameters()):
                    mean.lerp_(p, 1 - self.a["average"])

    def seconds(self, budget):
        """Median time of a step in `budget` seconds of them, after one that does not count."""
        self.step()
        on_card = self.device.type == "cuda"
        times, start = [], time.perf_counter()
        while not times or time.perf_counter() - start < budget:
            times.append(self.block() if on_card else self.one())
        return statistics.median(times)

    def one(self):
        before = time.perf_counter()
        self.step()
        return time.perf_counter() - before

    def block(self, steps=32):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(steps):
            self.step()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) * 1e-3 / steps
