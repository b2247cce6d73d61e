"""Encoding and decoding pictures as video, and BT.601 luma."""

import io
from typing import NamedTuple

import av
import numpy as np

WEIGHTS = np.float32([65.481, 128.553, 24.966]) / 255


class Picture(NamedTuple):
    """8-bit R'G'B' (H x W x 3) and, if it was decoded from video, its luma plane."""

    rgb: np.ndarray
    plane: np.ndarray | None = None


def studio_luma(rgb):
    """BT.601 limited-range luma, 16..235, not rounded, of 8-bit R'G'B' (H x W x 3)."""
    return 16 + np.asarray(rgb, np.float32) @ WEIGHTS


def to_unit(luma):
    """Limited-range luma as model input: black 0, white 1."""
    return (luma.astype(np.float32) - 16) / 219


def encode(frames, codec, options):
    """8-bit R'G'B' frames, encoded as 4:2:0 video (BT.601, limited range) and decoded."""
    buffer, (height, width) = io.BytesIO(), frames[0].shape[:2]
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=24, options=options)
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.pad(frame, pad, "edge"), format="rgb24")
            container.mux(stream.encode(picture.reformat(
                format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as container:
        return [picture_of(frame, height, width) for frame in container.decode(video=0)]


def picture_of(frame, height, width):
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    rgb = frame.reformat(format="rgb24", src_colorspace="ITU601", src_color_range="MPEG")
    return Picture(rgb.to_ndarray()[:height, :width], rows[:height, :width].copy())
