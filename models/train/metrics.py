"""Similarity to an original, and temporal stability of a sequence.

All measures use BT.601 limited-range luma of 8-bit pictures without a border of 2 px. The perceptual
measures are those of `piq` that need no downloaded network.
"""

import math

import cv2
import numpy as np
import piq
import torch

BORDER = 2
# Name to whether higher is better, in the order of the tables.
MEASURES = {"PSNR-Y": True, "SSIM-Y": True, "HaarPSI": True, "GMSD": False, "MDSI": False}


def psnr(a, b):
    error = np.mean((a - b)[BORDER:-BORDER, BORDER:-BORDER] ** 2, dtype=np.float64)
    return 10 * math.log10(255**2 / max(error, 1e-9))


def measure(a, b):
    """Every measure of limited-range luma `a` against the original `b`."""
    cut = slice(BORDER, -BORDER)
    x, y = (torch.from_numpy(np.clip((v[cut, cut] - 16) / 219, 0, 1).astype(np.float32))[None, None] for v in (a, b))
    return {
        "PSNR-Y": psnr(a, b),
        "SSIM-Y": piq.ssim(x, y, data_range=1.0, downsample=False).item(),
        "HaarPSI": piq.haarpsi(x, y, data_range=1.0).item(),
        "GMSD": piq.gmsd(x, y, data_range=1.0).item(),
        "MDSI": piq.mdsi(x.expand(-1, 3, -1, -1), y.expand(-1, 3, -1, -1), data_range=1.0).item(),
    }


def flicker(lumas):
    """Mean absolute change from each frame to the next in a static scene."""
    return float(np.mean([np.abs(b - a).mean() for a, b in zip(lumas, lumas[1:])]))


def flow(a, b):
    """Optical flow (DIS, Kroeger et al. 2016) from luma `a` to `b`: H x W x 2, pixels."""
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return search.calc(*(np.clip(np.round(v), 0, 255).astype(np.uint8) for v in (a, b)), None)


def warp(image, vectors):
    rows, columns = np.indices(vectors.shape[:2], np.float32)
    return cv2.remap(image.astype(np.float32), columns + vectors[..., 0],
                     rows + vectors[..., 1], cv2.INTER_CUBIC)


def motions(originals):
    """For each pair of consecutive frames: the flow, and a mask of where it is reliable.

    It is reliable where forward and backward flow cancel to within half a pixel.
    """
    found = []
    for a, b in zip(originals, originals[1:]):
        there, back = flow(a, b), flow(b, a)
        around = there + np.dstack([warp(back[..., i], there) for i in (0, 1)])
        found.append((there, np.hypot(around[..., 0], around[..., 1]) < 0.5))
    return found


def unsteadiness(lumas, motions):
    """Mean absolute change from each frame to the next along the motion."""
    changes = [np.abs(warp(b, there) - a)[trusted].mean()
               for a, b, (there, trusted) in zip(lumas, lumas[1:], motions) if trusted.any()]
    return float(np.mean(changes))
