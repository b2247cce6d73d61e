"""Enlarge with every published and made model file, and print a table of what holds.

    python field.py DATA GST_UPSCALE [NAME …]

DATA is the folder of test data (`../shared/data`). Columns: the worst difference to the picture that
another program computed, in steps of 8 bits (for TensorFlow files, whose chroma OpenCV enlarges in
another way, of luma, at samples where no colour of OpenCV's picture is clipped); whether a film is the same to the bit with `reuse=exact` and
`reuse=off`; whether tiles of 32 pixels give the bits of the whole picture, for models whose receptive
field is bounded. Exits with 1 if one does not hold. Needs numpy and pillow.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

# The input of each expected picture.
INPUTS = {"spandrel_16x16": "images/spandrel_16x16.png", "16x16": "images/spandrel_16x16.png",
          "spandrel_32x32": "images/spandrel_32x32.png", "32x32": "images/spandrel_32x32.png",
          "comic_lq": "images/comic_lq.png"}

# Files whose expected pictures have the name of another one.
SAME = {"realesr-animevideov3-x4": "realesr-animevideov3",
        "synthetic-rrdb-x4-old-names": "synthetic-rrdb-x4"}

# Files of architectures that are not supported; the FSRCNN takes Y′CbCr.
REFUSED = {"FSRCNN-Pytorch__FSRCNN-x2", "NTIRE2024_ESR__team21_slimrlfn_prune",
           "NTIRE2025_ESR__team38_ESRNet", "eduardzamfir__rt4ksr_x2"}

# Files whose weights are rounded versions of those that the expected picture was made with.
ROUNDED = {"realesr-animevideov3-x4", "realesr-general-x4v3"}


def files(data):
    ends = {".pth", ".pt", ".onnx", ".pb", ".safetensors", ".param"}
    for folder in ("weights", "field"):
        yield from sorted(path for path in (data / folder).iterdir() if path.suffix in ends)


def references(data, model):
    """Pairs of an input and the picture that another program made of it."""
    field = data / "field"
    expected = field / f"{model.stem}.expected.png"
    if expected.exists():
        small = model.stem.startswith("made_") and "esr" not in model.stem
        yield field / ("in64x48.png" if small else "in72.png"), expected
    for stem in {model.stem, SAME.get(model.stem, model.stem)}:
        for path in sorted((data / "expected").glob(f"*{stem}__*.png")):
            start, _, name = path.stem.rpartition("__")
            if start in (stem, f"ncnn__{stem}", f"opencv__{stem}", f"spandrel__{stem}") and name in INPUTS:
                yield data / INPUTS[name], path


class Command:
    def __init__(self, path, scratch):
        self.path, self.scratch = path, scratch

    def enlarge(self, source, result, model, *options):
        """The file RESULT; or why there is none."""
        target = self.scratch / result
        target.unlink(missing_ok=True)
        run = subprocess.run([self.path, "upscale", source, target, "--model", model, "--threads", "1",
                              "--precision", "fp32", *options],
                             capture_output=True, text=True, timeout=600)
        if run.returncode or not target.exists():
            return None, (run.stderr.strip().splitlines() or ["?"])[-1]
        return target, ""

    def halo(self, model):
        run = subprocess.run([self.path, "models", "show", model], capture_output=True, text=True)
        return "(halo" in run.stdout


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(np.float64)


LUMA = np.array([0.299, 0.587, 0.114])


def difference(a, b):
    return float(np.abs(a - b).max())


def luma_difference(a, b):
    unclipped = ((b > 0) & (b < 255)).all(axis=2)
    return float(np.abs(a @ LUMA - b @ LUMA)[unclipped].max())


def film(path, picture):
    """Six frames of a still picture in which a square moves, as Y4M."""
    image = pixels(picture)[:48, :64]
    y = np.clip(image @ np.array([0.257, 0.504, 0.098]) + 16, 0, 255).astype(np.uint8)
    rows, columns = y.shape
    content = f"YUV4MPEG2 W{columns} H{rows} F25:1 Ip A1:1 C444\n".encode()
    for frame in range(6):
        changed = y.copy()
        at = 8 * (frame // 2)
        changed[at:at + 8, at:at + 8] = 200
        content += b"FRAME\n" + changed.tobytes() + bytes([120]) * (rows * columns) \
            + bytes([135]) * (rows * columns)
    path.write_bytes(content)


def main():
    data, names = Path(sys.argv[1]), sys.argv[3:]
    failed = []
    print("| file | expected | exact reuse | tiles |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        command = Command(sys.argv[2], Path(folder))
        clip = Path(folder) / "film.y4m"
        film(clip, data / "field/in72.png")
        for model in files(data):
            if names and model.name not in names:
                continue
            worst, cells = None, []
            for source, expected in references(data, model):
                if model.suffix == ".pb":
                    # OpenCV's network sees luma in 8 bits.
                    luma = np.round(pixels(source) @ LUMA).astype(np.uint8)
                    source = Path(folder) / "luma.png"
                    Image.fromarray(np.stack([luma] * 3, axis=2)).save(source)
                result, why = command.enlarge(source, "out.png", model)
                if result is None:
                    cells.append(f"refused: {why}")
                    continue
                compare = luma_difference if model.suffix == ".pb" else difference
                value = compare(pixels(result), pixels(expected))
                worst = max(worst or 0.0, value)
            off, why = command.enlarge(clip, "off.y4m", model, "--reuse", "off")
            if off is None:
                known = model.stem in REFUSED
                print(f"| {model.name} | {'not supported' if known else f'refused: {why}'} | | |",
                      flush=True)
                if not known:
                    failed.append(f"{model.name}: {why}")
                continue
            off = off.read_bytes()
            exact, why = command.enlarge(clip, "exact.y4m", model, "--reuse", "exact")
            same = exact is not None and exact.read_bytes() == off
            tiles = "unbounded"
            if command.halo(model):
                large = data / "images/comic_lq.png"
                whole, _ = command.enlarge(large, "whole.png", model)
                whole = pixels(whole) if whole else None
                parts, _ = command.enlarge(large, "tiles.png", model, "--tile-size", "32")
                equal = parts is not None and whole is not None and (pixels(parts) == whole).all()
                tiles = "equal" if equal else "differ"
            limit = 2 if "fp16" in model.name or model.suffix == ".pb" or model.stem in ROUNDED else 1
            number = "-" if worst is None else f"{worst:.0f}" if model.suffix != ".pb" else f"{worst:.1f}"
            print(f"| {model.name} | {' '.join([number, *cells])} | {'equal' if same else 'differs'} "
                  f"| {tiles} |", flush=True)
            if cells or not same or tiles == "differ" or (worst or 0) > limit:
                failed.append(model.name)
    print("\n".join(["", *failed]))
    sys.exit(bool(failed))


main()
