"""doppel's networks in PyTorch, written down once more; pytorch_step.py counts their operations against doppel's."""

import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 64  # of the pictures

# nn/architecture.cc. down: (filters, kernel), stride 2; up: (filters, residual blocks).
ARCHITECTURES = {
    "original": dict(
        batch=16, down=[(128, 5), (256, 5), (512, 5), (1024, 5)], code=1024, latent=1024, shared=[(512, 0)],
        up=[(256, 0), (128, 0), (64, 0)], out_kernel=5, lr=5e-5, betas=(0.5, 0.999), average=0, dssim=0, window=0,
    ),
    "lite": dict(
        batch=32, down=[(64, 5), (96, 3), (160, 3), (256, 3)], code=256, latent=256, shared=[(256, 0), (128, 0)],
        up=[(64, 0), (32, 0)], out_kernel=3, lr=1e-3, betas=(0.9, 0.99), average=0.995, dssim=0.5, window=7,
    ),
}  # fmt: skip


class Down(nn.Module):
    def __init__(self, c, k, kernel):
        super().__init__()
        self.conv = nn.Conv2d(c, k, kernel, stride=2)
        # SAME at stride 2 and an even size: one more after than before.
        self.pad = ((kernel - 2) // 2, (kernel - 1) // 2) * 2

    def forward(self, x):
        return F.leaky_relu(self.conv(F.pad(x, self.pad)), 0.1, inplace=True)


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv0, self.conv1 = (nn.Conv2d(c, c, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return F.leaky_relu(x + self.conv1(F.leaky_relu(self.conv0(x), 0.2, inplace=True)), 0.2, inplace=True)


class Up(nn.Module):
    def __init__(self, c, filters, residuals):
        super().__init__()
        self.conv = nn.Conv2d(c, 4 * filters, 3, padding=1)
        self.residuals = nn.Sequential(*(Residual(filters) for _ in range(residuals)))

    def forward(self, x):
        return self.residuals(F.pixel_shuffle(F.leaky_relu(self.conv(x), 0.1, inplace=True), 2))


class Encoder(nn.Module):
    def __init__(self, a):
        super().__init__()
        channels = [3] + [filters for filters, _ in a["down"]]
        self.down = nn.Sequential(*(Down(c, k, kernel) for c, (k, kernel) in zip(channels, a["down"])))
        self.latent, side = a["latent"], SIZE >> len(a["down"])
        self.dense0 = nn.Linear(side * side * channels[-1], a["code"])
        self.dense1 = nn.Linear(a["code"], 4 * 4 * self.latent)
        filters = [self.latent] + [k for k, _ in a["shared"]]
        self.up = nn.Sequential(*(Up(c, *up) for c, up in zip(filters, a["shared"])))

    def forward(self, x):
        x = self.dense1(self.dense0(self.down(x).flatten(1)))
        return self.up(x.view(-1, self.latent, 4, 4))


class Decoder(nn.Module):
    def __init__(self, a):
        super().__init__()
        channels = [a["shared"][-1][0]] + [filters for filters, _ in a["up"]]
        self.up = nn.Sequential(*(Up(c, *up) for c, up in zip(channels, a["up"])))
        self.out = nn.Conv2d(channels[-1], 3, a["out_kernel"], padding=a["out_kernel"] // 2)

    def forward(self, x):
        return torch.sigmoid(self.out(self.up(x)).float())


def forward_flops(modules, x):
    """Operations of convolutions and dense layers for one sample, and of the first layer alone."""
    counts = []

    def count(module, _, y):
        per_output = module.weight[0].numel()
        counts.append(2 * per_output * y[0].numel())

    layers = [m for module in modules for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [m.register_forward_hook(count) for m in layers]
    with torch.no_grad():
        for module in modules:
            x = module(x)
    for hook in hooks:
        hook.remove()
    return sum(counts), counts[0]
