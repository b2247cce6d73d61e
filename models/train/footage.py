"""Test footage: halved pictures and clips, clean and encoded.

A sample is (small, large): a `Picture` and its 8-bit R'G'B' original of twice the size.
"""

from pathlib import Path

import av
import numpy as np
from PIL import Image

import video

CONDITIONS = ["bicubic", "area", "CRF 23", "CRF 28", "CRF 33"]
SUFFIXES = (".png", ".webp", ".jpg")
DRIFT = 2  # pixels per frame of the large picture, so that the encoder has motion to code
FRAMES = 8


def pictures(folder, pattern="*"):
    paths = sorted(p for p in Path(folder).glob(pattern) if p.suffix in SUFFIXES)
    return {path.stem: Image.open(path).convert("RGB") for path in paths}


def even(picture):
    return picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2))


def halve(picture, kernel=Image.Resampling.BICUBIC):
    return picture.resize((picture.width // 2, picture.height // 2), kernel)


def encode(frames, crf):
    """8-bit R'G'B' frames, encoded as H.264 and decoded."""
    return video.encode(frames, "libx264", {"crf": str(crf)})


def sample(picture, condition):
    """A picture under one of CONDITIONS: a halved still, or the last frame of an encoded slow pan."""
    picture = even(picture)
    if condition in ("bicubic", "area"):
        kernel = Image.Resampling.BICUBIC if condition == "bicubic" else Image.Resampling.BOX
        return video.Picture(np.asarray(halve(picture, kernel))), np.asarray(picture)
    width = picture.width - DRIFT * (FRAMES - 1) // 2 * 2
    windows = [picture.crop((DRIFT * i, 0, DRIFT * i + width, picture.height)) for i in range(FRAMES)]
    smalls = [np.asarray(halve(window)) for window in windows]
    return encode(smalls, int(condition.split()[1]))[-1], np.asarray(windows[-1])


def noisy_still(picture, frames=16, sigma=3, crf=28, seed=1):
    """A static scene with camera noise, as H.264."""
    rng, small = np.random.default_rng(seed), np.asarray(halve(even(picture)), np.float32)
    noisy = [np.clip(np.round(small + rng.normal(0, sigma, small.shape)), 0, 255).astype(np.uint8)
             for _ in range(frames)]
    return encode(noisy, crf)


def sequences(folder):
    """Maps names to the frames of each sequence (a folder of numbered pictures)."""
    found = {}
    for path in sorted(p for p in Path(folder).iterdir() if p.is_dir()):
        found[path.name] = [even(p) for p in pictures(path).values()]
    return found


def clip(path, frames, start=0):
    """Frames of a video file."""
    found = []
    with av.open(str(path)) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index >= start + frames:
                break
            if index >= start:
                found.append(even(picture.to_image()))
    return found
