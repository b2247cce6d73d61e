"""Draws crops side by side: python models/train/crops.py OUT.png [SCALER ...]

Rows are places in test pictures under one condition; columns are the scalers and the original.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import footage
from scalers import scalers

ROOT = Path(__file__).resolve().parents[2]
SIDE, ZOOM, GAP, HEAD = 96, 2, 4, 18
PLACES = [  # file, condition, left, top of the crop in the large picture
    ("val/tenniel_07.webp", "bicubic", 300, 220),
    ("val/gb82_nyc.webp", "CRF 23", 240, 300),
    ("val/pc_e14p06_0.webp", "CRF 28", 300, 200),
    ("val/sub_reflect.webp", "CRF 28", 240, 480),
    ("val/ski_astronaut.webp", "CRF 33", 190, 90),
]


def crop(picture, left, top):
    part = Image.fromarray(picture).crop((left, top, left + SIDE, top + SIDE))
    return part.resize((SIDE * ZOOM, SIDE * ZOOM), Image.Resampling.NEAREST)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", default=["nearest", "lanczos", "builtin"])
    parser.add_argument("--data", default=ROOT.parent / "shared/data", type=Path)
    parser.add_argument("--models", default=ROOT / "models", type=Path)
    args = parser.parse_args()
    compared = scalers(args.models, args.data / "weights")
    names = [*args.names, "original"]
    cell = SIDE * ZOOM + GAP
    sheet = Image.new("RGB", (cell * len(names) - GAP, (cell + HEAD) * len(PLACES)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for row, (file, condition, left, top) in enumerate(PLACES):
        small, large = footage.sample(Image.open(args.data / file).convert("RGB"), condition)
        for column, name in enumerate(names):
            picture = large if name == "original" else compared[name].rgb(small.rgb)
            x, y = column * cell, row * (cell + HEAD)
            draw.text((x + 2, y + 2), f"{name} ({condition})" if column == 0 else name, "black", font)
            sheet.paste(crop(np.asarray(picture), left, top), (x, y + HEAD))
    sheet.save(args.out, optimize=True)


if __name__ == "__main__":
    main()
