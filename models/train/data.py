"""Training pairs: pictures made small the ways video is, and what they were before.

Pairs are made once and kept in a cache: real encoders are slow. Of each picture, a window
drifts over a few frames (so that the encoder predicts from earlier ones, as in a film), is made
small, noisy perhaps, and encoded; the last frame's luma is paired with the window's.
"""

import io
import multiprocessing
import random
import zlib
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageFilter

KERNELS = {
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
}
CODECS = {  # encoder: options for a draw from 0 (good) to 1 (bad)
    "libx264": lambda bad: {"crf": str(round(17 + 19 * bad)), "preset": "veryfast"},
    "libx265": lambda bad: {"crf": str(round(19 + 18 * bad)), "preset": "ultrafast",
                            "x265-params": "log-level=none:pools=1"},
    "mpeg2video": lambda bad: {"qmin": str(round(2 + 14 * bad)), "qmax": str(round(2 + 14 * bad))},
}
FRAMES = 4


def studio_luma(rgb):
    """BT.601 studio luma of 8-bit R'G'B' (H x W x 3), as bytes."""
    y = 16 + (np.asarray(rgb, np.float32) @ np.float32([65.481, 128.553, 24.966])) / 255
    return np.clip(np.round(y), 0, 255).astype(np.uint8)


def to_unit(luma):
    """Studio luma as the model wants it: black 0, white 1."""
    return (luma.astype(np.float32) - 16) / 219


def encode(frames, codec, options, rate=24):
    """Frames (8-bit RGB arrays, even sides) through an encoder to 4:2:0 and back, as luma."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        return [plane_of(picture) for picture in container.decode(video=0)]


def plane_of(picture):
    plane = picture.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: picture.height, : picture.width].copy()


def make_small(picture, rng, clean):
    """A picture at half its size by a kernel drawn from those that are met with."""
    kernel = rng.choices(list(KERNELS), [5, 2, 2, 1] if clean else [3, 3, 2, 2])[0]
    if not clean and rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    return picture.resize((picture.width // 2, picture.height // 2), KERNELS[kernel])


def window(picture, rng, side, frame, drift):
    x0 = (picture.width - side) * rng[0] + drift[0] * (frame - FRAMES + 1)
    y0 = (picture.height - side) * rng[1] + drift[1] * (frame - FRAMES + 1)
    x0 = min(max(round(x0), 0), picture.width - side)
    y0 = min(max(round(y0), 0), picture.height - side)
    return picture.crop((x0, y0, x0 + side, y0 + side))


def pairs_of(task):
    """(small, large, clean) luma pairs of one picture file."""
    path, variants, side, seed = task
    rng = random.Random(seed ^ zlib.crc32(path.name.encode()))
    picture = Image.open(path).convert("RGB")
    side = min(side, picture.width, picture.height) // 4 * 4
    pairs = []
    for variant in range(variants):
        clean = variant % 5 < 2
        place, drift = (rng.random(), rng.random()), (rng.uniform(-5, 5), rng.uniform(-4, 4))
        if rng.random() < 0.3:
            drift = (0, 0)
        if clean:
            large = window(picture, place, side, FRAMES - 1, drift)
            pairs.append((studio_luma(make_small(large, rng, True)), studio_luma(large), True))
            continue
        state, smalls, large = rng.getstate(), [], None
        sigma = rng.uniform(0.5, 6) if rng.random() < 0.4 else 0
        noise = np.random.default_rng(rng.randrange(1 << 30))
        codec = rng.choices(list(CODECS), [6, 2, 2])[0]
        options = CODECS[codec](rng.random())
        state = rng.getstate()
        for frame in range(FRAMES):
            rng.setstate(state)  # the same kernel and blur in every frame
            large = window(picture, place, side, frame, drift)
            small = np.asarray(make_small(large, rng, False), np.float32)
            small = small + noise.normal(0, 1, small.shape) * sigma
            smalls.append(np.clip(np.round(small), 0, 255).astype(np.uint8))
        pairs.append((encode(smalls, codec, options)[-1], studio_luma(large), False))
    return pairs


def load_pairs(folder, cache, variants=15, side=320, seed=1):
    """All pairs of the pictures in `folder`, from `cache` where that was made before."""
    cache = Path(cache) / f"pairs-{variants}-{side}-{seed}.npz"
    if not cache.exists():
        paths = sorted(p for p in Path(folder).iterdir() if p.suffix in (".jpg", ".png", ".webp"))
        with multiprocessing.Pool() as pool:
            lists = pool.map(pairs_of, [(p, variants, side, seed) for p in paths], chunksize=4)
        pairs = [pair for one in lists for pair in one]
        cache.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"s{i}": pair[0] for i, pair in enumerate(pairs)}
        arrays |= {f"l{i}": pair[1] for i, pair in enumerate(pairs)}
        arrays["clean"] = np.array([pair[2] for pair in pairs])
        part = cache.with_suffix(".part.npz")
        np.savez(part, **arrays)
        part.rename(cache)
    stored = np.load(cache)
    clean = stored["clean"]
    return [(stored[f"s{i}"], stored[f"l{i}"], bool(clean[i])) for i in range(len(clean))]


def batches(pairs, size, patch, seed):
    """Endless batches of patches: small N x 1 x patch x patch and large ones of twice that."""
    rng = np.random.default_rng(seed)
    while True:
        smalls, larges = [], []
        for index in rng.integers(len(pairs), size=size):
            small, large, _ = pairs[index]
            y = rng.integers((small.shape[0] - patch) // 2 + 1) * 2
            x = rng.integers((small.shape[1] - patch) // 2 + 1) * 2
            small = small[y : y + patch, x : x + patch]
            large = large[2 * y : 2 * (y + patch), 2 * x : 2 * (x + patch)]
            turn, flip = rng.integers(4), rng.integers(2)
            small, large = (np.rot90(a, turn) for a in (small, large))
            if flip:
                small, large = small[:, ::-1], large[:, ::-1]
            smalls.append(to_unit(small))
            larges.append(to_unit(large))
        yield np.stack(smalls)[:, None], np.stack(larges)[:, None]
