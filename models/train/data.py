"""Training pairs: pictures degraded as video is, and their originals.

Pairs are cached, since real encoders are slow. A window of each picture stays or drifts over a few
frames (so that the encoder predicts from earlier ones, as in a film), is halved, sometimes with
noise, and encoded. A late frame is paired with the original window, as luma or R'G'B'. For static
windows the next frame is kept as well, to train the model to give equal outputs.
"""

import multiprocessing
import random
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import video

KERNELS = {  # name: weight when clean, weight when encoded
    Image.Resampling.BICUBIC: (5, 3),
    Image.Resampling.BOX: (2, 3),
    Image.Resampling.LANCZOS: (2, 2),
    Image.Resampling.BILINEAR: (1, 2),
}
CODECS = {  # encoder: weight, options for a draw from 0 (good) to 1 (bad)
    "libx264": (6, lambda bad: {"crf": str(round(17 + 19 * bad)), "preset": "veryfast"}),
    "libx265": (2, lambda bad: {"crf": str(round(19 + 18 * bad)), "preset": "ultrafast",
                                "x265-params": "log-level=none:pools=1"}),
    "mpeg2video": (2, lambda bad: {"qmin": str(round(2 + 14 * bad)), "qmax": str(round(2 + 14 * bad))}),
}
FRAMES = 6
SUFFIXES = (".jpg", ".png", ".webp")


def to_bytes(samples):
    return np.clip(np.round(samples), 0, 255).astype(np.uint8)


def half(picture, kernel):
    return picture.resize((picture.width // 2, picture.height // 2), kernel)


def kernel_from(rng, coded):
    return rng.choices(list(KERNELS), [weights[coded] for weights in KERNELS.values()])[0]


def samples_of(picture, colour):
    """R'G'B' (H x W x 3) or luma (H x W) of a `video.Picture` or a Pillow image, as bytes."""
    if not isinstance(picture, video.Picture):
        picture = video.Picture(np.asarray(picture))
    if colour:
        return picture.rgb
    return to_bytes(video.studio_luma(picture.rgb)) if picture.plane is None else picture.plane


def clean_pair(picture, side, colour, rng):
    x, y = rng.randint(0, picture.width - side), rng.randint(0, picture.height - side)
    large = picture.crop((x, y, x + side, y + side))
    small = half(large, kernel_from(rng, False))
    return [samples_of(small, colour)], samples_of(large, colour)


def coded_pair(picture, side, colour, rng):
    """One encoded frame, or two of a static window, and the original."""
    still = rng.random() < 0.4
    drift = (0, 0) if still else (rng.uniform(-5, 5), rng.uniform(-4, 4))
    kernel = kernel_from(rng, True)
    blur = rng.uniform(0.3, 1.1) if rng.random() < 0.3 else 0
    sigma = rng.uniform(0.5, 6) if rng.random() < (0.7 if still else 0.35) else 0
    noise = np.random.default_rng(rng.randrange(1 << 30))
    codec = rng.choices(list(CODECS), [weight for weight, _ in CODECS.values()])[0]
    options = CODECS[codec][1](rng.random())
    x, y = rng.random() * (picture.width - side), rng.random() * (picture.height - side)
    smalls, larges = [], []
    for frame in range(FRAMES):
        left = min(max(round(x + frame * drift[0]), 0), picture.width - side)
        top = min(max(round(y + frame * drift[1]), 0), picture.height - side)
        large = picture.crop((left, top, left + side, top + side))
        larges.append(large)
        if blur:
            large = large.filter(ImageFilter.GaussianBlur(blur))
        small = np.asarray(half(large, kernel), np.float32)
        smalls.append(to_bytes(small + noise.normal(0, 1, small.shape) * sigma))
    coded = video.encode(smalls, codec, options)
    at = rng.randrange(FRAMES // 2, FRAMES - 1)
    kept = [samples_of(frame, colour) for frame in coded[at : at + (2 if still else 1)]]
    return kept, samples_of(larges[at], colour)


def is_clean(variant):
    """Whether a variant is only halved: a third of each picture's pairs."""
    return variant % 3 == 0


def kind_of(variant, pair):
    if is_clean(variant):
        return "clean"
    return "still" if len(pair[0]) == 2 else "moving"


def pairs_of(task):
    """Pairs (list of small pictures, large picture) of one picture file."""
    path, variants, side, colour, seed = task
    rng = random.Random(seed ^ zlib.crc32(path.name.encode()))
    picture = Image.open(path).convert("RGB")
    side = min(side, picture.width, picture.height) // 4 * 4
    return [(clean_pair if is_clean(variant) else coded_pair)(picture, side, colour, rng)
            for variant in range(variants)]


def load_pairs(folder, cache, colour, variants=15, side=320, seed=1):
    """All pairs of the pictures in `folder`, from `cache` if it exists.

    Each is (small pictures, large picture, kind), where kind is "clean", "moving" or "still"; "still"
    has two small pictures. Samples are bytes: R'G'B' with `colour`, luma otherwise.
    """
    cache = Path(cache) / f"pairs-{'colour' if colour else 'luma'}-{variants}-{side}-{seed}.npz"
    if not cache.exists():
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix in SUFFIXES)
        with multiprocessing.Pool() as pool:
            lists = pool.map(pairs_of, [(path, variants, side, colour, seed) for path in paths], chunksize=4)
        arrays = {}
        for index, (smalls, large) in enumerate(pair for pairs in lists for pair in pairs):
            arrays |= {f"s{index}": np.stack(smalls), f"l{index}": large}
        cache.parent.mkdir(parents=True, exist_ok=True)
        part = cache.with_suffix(".part.npz")
        np.savez(part, **arrays)
        part.rename(cache)
    stored = np.load(cache)
    pairs = [(stored[f"s{i}"], stored[f"l{i}"]) for i in range(len(stored.files) // 2)]
    return [(*pair, kind_of(i % variants, pair)) for i, pair in enumerate(pairs)]


def patch_of(pair, patch, rng, fresh=False):
    """The same place of every small picture and of the large one, randomly rotated and flipped.

    With `fresh` the small picture is the large one halved with the bicubic filter.
    """
    smalls, large, _ = pair
    y, x = (rng.integers((side - patch) // 2 + 1) * 2 for side in smalls.shape[1:3])
    smalls = smalls[:, y : y + patch, x : x + patch]
    large = large[2 * y : 2 * (y + patch), 2 * x : 2 * (x + patch)]
    if fresh:
        smalls = np.asarray(half(Image.fromarray(large), Image.Resampling.BICUBIC))[None]
    turn, flip = rng.integers(4), rng.integers(2)
    smalls, large = np.rot90(smalls, turn, (1, 2)), np.rot90(large, turn)
    if flip:
        smalls, large = np.flip(smalls, 2), np.flip(large, 1)
    return smalls, large


def restless_patch(pairs, still, patch, tries, rng):
    """From the first pair in `still` whose frames differ: the one of `tries` places where they differ most.

    Encoders skip most of a static scene, and nothing can be learnt where both frames are equal.
    """
    for index in still:
        places = (patch_of(pairs[index], patch, rng) for _ in range(tries))
        change, _, place = max((np.abs(np.subtract(*place[0], dtype=np.int16)).sum(), number, place)
                               for number, place in enumerate(places))
        if change:
            break
    return place


def to_planes(samples):
    """Bytes, N x H x W (limited-range luma) or N x H x W x 3, as model input: N x C x H x W, 0..1."""
    if samples.ndim == 3:
        return video.to_unit(samples)[:, None]
    return samples.transpose(0, 3, 1, 2).astype(np.float32) / 255


def batches(pairs, phase, seed):
    """Endless batches: small N x C x patch x patch, 0..1, and large ones of twice that side.

    The last 2 * stills of the N are pairs of frames of static scenes.
    """
    rng = np.random.default_rng(seed)
    kinds = {"clean": [], "moving": [], "still": []}
    for index, (_, _, kind) in enumerate(pairs):
        kinds[kind].append(index)
    singles = phase.batch - 2 * phase.stills
    while True:
        smalls, larges = [], []
        clean = rng.choice(kinds["clean"], round(phase.clean * singles))
        coded = rng.choice(kinds["moving"] + kinds["still"], singles - len(clean))
        fresh = round(phase.fresh * len(clean))
        clean[:fresh] = rng.integers(len(pairs), size=fresh)
        for number, index in enumerate([*clean, *coded]):
            small, large = patch_of(pairs[index], phase.patch, rng, fresh=number < fresh)
            smalls.append(small[0])
            larges.append(large)
        for _ in range(phase.stills):
            small, large = restless_patch(pairs, rng.choice(kinds["still"], phase.tries), phase.patch, phase.tries, rng)
            smalls.extend(small)
            larges.extend([large, large])
        yield to_planes(np.stack(smalls)), to_planes(np.stack(larges))
