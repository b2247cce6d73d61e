"""The compared scalers: classic ones, the built-in models, and Real-ESRGAN's small models."""

from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import onnxruntime
from PIL import Image

from video import Picture, studio_luma, to_unit

LUMA = np.float32([0.299, 0.587, 0.114])  # BT.601, for R'G'B' and Y' both 0..1


class Scaler(NamedTuple):
    """Enlarges pictures by 2: `rgb` takes H x W x 3 bytes; `plane`, if luma is enough, H x W bytes;
    `unit`, if it is not, maps H x W x 3 bytes to samples 0..1."""

    rgb: Callable
    plane: Callable | None = None
    unit: Callable | None = None

    def luma(self, small):
        """Limited-range luma of an enlarged `Picture`, rounded to codes if the picture is from video."""
        if small.plane is None:
            return studio_luma(self.rgb(small.rgb))
        if self.plane:
            return self.plane(small.plane).astype(np.float32)
        return np.round(studio_luma(self.unit(small.rgb) * 255))


def classic(filter):
    """A scaler that uses one of Pillow's filters."""

    def scale(samples):
        height, width = samples.shape[:2]
        return np.asarray(Image.fromarray(samples).resize((2 * width, 2 * height), filter))

    return Scaler(scale, scale)


LANCZOS = classic(Image.Resampling.LANCZOS)


def to_bytes(unit):
    """Samples 0..1 as bytes, clamped and rounded to nearest as in Real-ESRGAN."""
    return np.round(np.clip(unit, 0, 1) * 255).astype(np.uint8)


def session(path, threads=2):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


def luma_network(path, align=2):
    """An ONNX network for luma; chroma is resampled with Lanczos, as in the element."""
    network = session(path)

    def double(y):
        height, width = y.shape
        y = np.pad(y, ((0, -height % align), (0, -width % align)), "reflect")
        return network.run(None, {"input": y[None, None]})[0][0, 0, : 2 * height, : 2 * width]

    def rgb(picture):
        y = double(picture.astype(np.float32) / 255 @ LUMA)
        base = LANCZOS.rgb(picture).astype(np.float32) / 255
        return to_bytes(base + (y - base @ LUMA)[..., None])

    def plane(luma):
        return np.round(np.clip(double(to_unit(luma)) * 219 + 16, 0, 255)).astype(np.uint8)

    return Scaler(rgb, plane)


def colour_network(run, factor):
    """A network for R'G'B'; a factor above 2 is reduced to 2 with Pillow's bicubic filter."""

    def unit(picture):
        height, width = picture.shape[:2]
        planes = np.ascontiguousarray(picture.astype(np.float32).transpose(2, 0, 1)[None] / 255)
        large = np.clip(run(planes)[0].transpose(1, 2, 0), 0, 1)
        if factor == 2:
            return large
        size = (2 * width, 2 * height)
        small = Image.fromarray(to_bytes(large)).resize(size, Image.Resampling.BICUBIC)
        return np.asarray(small, np.float32) / 255

    return Scaler(lambda picture: to_bytes(unit(picture)), unit=unit)


def onnx_network(path, factor):
    network = session(path)
    name = network.get_inputs()[0].name
    return colour_network(lambda planes: network.run(None, {name: planes})[0], factor)


def compact_network(path, factor):
    """An SRVGGNetCompact from a .safetensors file with official weight names."""
    import torch
    from safetensors.torch import load_file

    from network import Compact

    weights = {name: value.float() for name, value in load_file(path).items()}
    network = Compact.of(weights, factor).eval()

    @torch.no_grad()
    def run(planes):
        return network(torch.from_numpy(planes)).numpy()

    return colour_network(run, factor)


def scalers(models, weights):
    """Maps names to scalers, for the models found in the folders `models` and `weights`."""
    found = {
        "nearest": classic(Image.Resampling.NEAREST),
        "bilinear": classic(Image.Resampling.BILINEAR),
        "bicubic": classic(Image.Resampling.BICUBIC),
        "lanczos": LANCZOS,
    }
    models, weights = Path(models), Path(weights)
    if (models / "builtin.onnx").exists():
        found["builtin"] = luma_network(models / "builtin.onnx")
    if (models / "builtin-quality.onnx").exists():
        found["builtin-quality"] = onnx_network(models / "builtin-quality.onnx", 2)
    if (weights / "realesr-animevideov3.onnx").exists():
        found["animevideov3"] = onnx_network(weights / "realesr-animevideov3.onnx", 4)
    if (weights / "realesr-general-x4v3.safetensors").exists():
        found["general-x4v3"] = compact_network(weights / "realesr-general-x4v3.safetensors", 4)
    return found
