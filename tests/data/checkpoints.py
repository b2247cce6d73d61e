"""Write `checkpoints/`: small networks saved by PyTorch, and their outputs for one image.

Needs torch, numpy and spandrel (for SPAN). The other networks are defined here like in the
projects that `src/model/architecture/` cites. Run in this folder.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from spandrel.architectures.SPAN import SPAN
from torch import nn

torch.manual_seed(3)
OUT = Path("checkpoints")
MEAN = torch.tensor((0.4488, 0.4371, 0.4040)).view(1, 3, 1, 1)


def picture(channels):
    """Sample i is (37 i mod 101) / 100, as in the tests."""
    samples = torch.arange(channels * 8 * 6) * 37 % 101 / 100
    return samples.view(1, channels, 8, 6)


def save(name, network, picture, wrap=lambda state: state, output=None, **how):
    with torch.no_grad():
        result = network(picture) if output is None else output
    # The older stream format is much smaller for many small tensors.
    how = {"_use_new_zipfile_serialization": False} | how
    torch.save(wrap(network.state_dict()), OUT / f"{name}.pth", **how)
    np.save(OUT / f"{name}.npy", result.numpy())


def conv(inputs, outputs, size=3, **how):
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, **how)


def span():
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=4, upscale=2, norm=True).eval()

    def stale(state):
        lost = {key: torch.randn_like(value) for key, value in state.items() if "eval_conv" in key}
        return {"params_ema": state | lost}

    def merged(state):
        return {"params": {k: v for k, v in state.items() if ".sk." not in k and ".conv." not in k}}

    save("span_stale_merge", network, picture(3), stale)
    save("span_merged", network, picture(3), merged)
    network = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=4, upscale=4, norm=False).eval()
    save("span_no_norm", network, picture(3), lambda state: merged(state)["params"])


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, x):
        return self.body(x) + x


class MeanShift(nn.Conv2d):
    def __init__(self, sign):
        super().__init__(3, 3, 1)
        self.weight.data = torch.eye(3).view(3, 3, 1, 1)
        self.bias.data = sign * 255 * MEAN.flatten()


class Edsr(nn.Module):
    def __init__(self, ups, width=6):
        super().__init__()
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head = nn.Sequential(conv(3, width))
        self.body = nn.Sequential(Residual(width), Residual(width), conv(width, width))
        layers = [layer for r in ups for layer in (conv(width, r * r * width), nn.PixelShuffle(r))]
        self.tail = nn.Sequential(nn.Sequential(*layers), conv(width, 3))

    def forward(self, x):
        x = self.head(self.sub_mean(x * 255))
        return self.add_mean(self.tail(self.body(x) + x)) / 255


class BasicResidual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = conv(width, width), conv(width, width)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


class BasicEdsr(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.conv_first = conv(3, width)
        self.body = nn.Sequential(BasicResidual(width), BasicResidual(width))
        self.conv_after_body = conv(width, width)
        self.upsample = nn.Sequential(conv(width, 4 * width), nn.PixelShuffle(2))
        self.conv_last = conv(width, 3)

    def forward(self, x):
        x = self.conv_first((x - MEAN) * 255)
        x = self.conv_after_body(self.body(x)) + x
        return self.conv_last(self.upsample(x)) / 255 + MEAN


class Rows(nn.Module):
    """Named sequences of layers, one after another."""

    def __init__(self, **rows):
        super().__init__()
        for name, row in rows.items():
            self.add_module(name, row)

    def forward(self, x):
        for row in self.children():
            x = row(x)
        return x


def espcn():
    def rows(first, last, r):
        return Rows(**{
            first: nn.Sequential(conv(1, 8, 5), nn.Tanh(), conv(8, 6), nn.Tanh()),
            last: nn.Sequential(conv(6, r * r), nn.PixelShuffle(r)),
        })

    save("espcn_tanh", rows("first_part", "last_part", 3), picture(1))
    network = rows("feature_maps", "sub_pixel", 2)
    optimizer = torch.optim.Adam(network.parameters())
    F.mse_loss(network(picture(1)), torch.zeros(1)).backward()
    optimizer.step()
    save("espcn_in_training", network, picture(1), lambda state: {
        "epoch": 3, "best_psnr": np.float64(30.5), "state_dict": state,
        "optimizer": optimizer.state_dict()})
    network = Rows(conv1=conv(1, 8, 5), a=nn.ReLU(), conv2=conv(8, 8), b=nn.ReLU(),
                   conv3=conv(8, 6), c=nn.ReLU(), conv4=conv(6, 9), d=nn.PixelShuffle(3))
    save("espcn_relu", network, picture(1))


def fsrcnn():
    def row(*sizes):
        return [layer for i, o, k in sizes for layer in (conv(i, o, k), nn.PReLU(o))]

    def last(factor):
        return nn.ConvTranspose2d(8, 1, 9, factor, 4, factor - 1)

    network = Rows(first_part=nn.Sequential(*row((1, 8, 5))),
                   mid_part=nn.Sequential(*row((8, 4, 1), (4, 4, 3), (4, 4, 3), (4, 8, 1))),
                   last_part=last(3))
    save("fsrcnn_x3", network, picture(1))
    network = Rows(feature_extraction=nn.Sequential(*row((1, 8, 5))),
                   shrink=nn.Sequential(*row((8, 4, 1))),
                   map=nn.Sequential(*row((4, 4, 3), (4, 4, 3))),
                   expand=nn.Sequential(*row((4, 8, 1))), deconv=last(2))
    save("fsrcnn_x2", network, picture(1))


def bicubic(x, factor):
    """a = -0.5, aligned to sample centres, with a repeated border."""
    def matrix(size):
        rows = np.zeros((size * factor, size))
        for to in range(size * factor):
            centre = (to + 0.5) / factor - 0.5
            for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
                t = abs(centre - tap)
                near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
                rows[to, min(max(tap, 0), size - 1)] += near if t <= 1 else far if t < 2 else 0
        return torch.tensor(rows, dtype=torch.float32)

    return matrix(x.shape[2]) @ x @ matrix(x.shape[3]).T


def sharpeners():
    large = bicubic(picture(1), 3)
    network = Rows(conv1=conv(1, 8, 9), a=nn.ReLU(), conv2=conv(8, 6, 5), b=nn.ReLU(),
                   conv3=conv(6, 1, 5))
    with torch.no_grad():
        save("srcnn_x3", network, picture(1), output=network(large))
    large = bicubic(picture(1), 2)

    def relu():
        return nn.Sequential(conv(1, 6, bias=False), nn.ReLU())

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv(6, 6, bias=False)

        def forward(self, x):
            return F.relu(self.conv(x))

    blocks = nn.Sequential(*[Block() for _ in range(3)])
    layers = [layer for _ in range(3) for layer in (conv(6, 6, bias=False), nn.ReLU())]
    for name, network in [
        ("vdsr_row_x2", Rows(features=nn.Sequential(*relu(), *layers, conv(6, 1, bias=False)))),
        ("vdsr_trunk_x2", Rows(conv1=relu(), trunk=blocks, conv2=conv(6, 1, bias=False))),
        ("vdsr_residual_x2", Rows(input=conv(1, 6, bias=False), relu=nn.ReLU(),
                               residual_layer=blocks, output=conv(6, 1, bias=False))),
    ]:
        with torch.no_grad():
            save(name, network, picture(1), output=network(large) + large)


def oddities():
    """Views of storages, of every element type and pickle protocol."""
    state = {
        "half": (torch.arange(12) / 8).view(3, 4).half(),
        "brain": (torch.arange(12) / 8).bfloat16(),
        "double": (torch.arange(12) / 8).double(),
        "transposed": (torch.arange(12) / 8).view(4, 3).T,
        "channels_last": (torch.arange(48) / 8).view(2, 3, 4, 2).contiguous(
            memory_format=torch.channels_last),
        "every_second": (torch.arange(24) / 8)[::2],
        "part": (torch.arange(24) / 8)[5:17],
        "scalar": torch.tensor(1.5),
        "parameter": nn.Parameter(torch.arange(12) / 8),
        "counter": torch.tensor(3),
    }
    everything = {"run": {"params": state, "psnr": np.float64(30.5), "step": 2**70}}
    for protocol in 2, 3, 4, 5:
        torch.save(everything, OUT / f"odd_{protocol}.pth", pickle_protocol=protocol)
    torch.save(everything, OUT / "odd_stream.pth", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    torch.save(everything, OUT / "odd_no_checksums.pth")
    torch.serialization.set_crc32_options(True)
    torch.save(conv(1, 1), OUT / "whole_module.pth")


span()
for factor, ups in (3, [3]), (4, [2, 2]):
    save(f"edsr_original_x{factor}", Edsr(ups), picture(3), _use_new_zipfile_serialization=True)
save("edsr_basic_x2", BasicEdsr(), picture(3), lambda state: {"params": state})
espcn()
fsrcnn()
sharpeners()
oddities()
