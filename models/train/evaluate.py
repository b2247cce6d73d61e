"""Compares the built-in models with classic scalers: python models/train/evaluate.py

Writes tables (Markdown) and all figures (JSON) under build/quality. None of the pictures was
trained on.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import footage
import metrics
from scalers import scalers
from video import studio_luma

ROOT = Path(__file__).resolve().parents[2]


def mean(rows):
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def table(title, columns, rows):
    """Markdown; `rows` is name to column to text."""
    lines = [f"### {title}", "", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += ["| " + " | ".join([name, *(row.get(c, "") for c in columns)]) + " |" for name, row in rows.items()]
    return "\n".join(lines) + "\n"


def stills(pictures, conditions, compared):
    """Condition to scaler to measures, each a mean over the pictures."""
    found = {}
    for condition in conditions:
        samples = [footage.sample(picture, condition) for picture in pictures.values()]
        found[condition] = {
            name: mean([metrics.measure(scale(small), large) for small, large in samples])
            for name, scale in compared.items()}
        print(condition, {n: round(m["PSNR-Y"], 3) for n, m in found[condition].items()}, flush=True)
    return found


def clips(sequences, crf, compared):
    """Scaler to measures, of sequences halved and encoded; every second frame is measured."""
    rows = {name: [] for name in compared}
    for frames in sequences.values():
        coded = footage.encode([np.asarray(footage.halve(frame)) for frame in frames], crf)
        for small, frame in list(zip(coded, frames))[1::2]:
            for name, scale in compared.items():
                rows[name].append(metrics.measure(scale(small), np.asarray(frame)))
    return {name: mean(row) for name, row in rows.items()}


def steadiness(pictures, sequences, compared):
    """Scaler to change between frames: of noisy stills, and along the motion of sequences."""
    found = {name: {"still": [], "moving": []} for name in compared}
    for picture in pictures.values():
        frames = footage.noisy_still(picture)[4:]  # the first ones hold the encoder's start
        for name, scale in compared.items():
            found[name]["still"].append(metrics.flicker([studio_luma(scale(f)) for f in frames]))
    for frames in sequences.values():
        motions = metrics.motions([studio_luma(np.asarray(frame)) for frame in frames])
        coded = footage.encode([np.asarray(footage.halve(frame)) for frame in frames], 28)
        for name, scale in compared.items():
            lumas = [studio_luma(scale(small)) for small in coded]
            found[name]["moving"].append(metrics.unsteadiness(lumas, motions))
    return {name: mean([{k: float(np.mean(v)) for k, v in row.items()}]) for name, row in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=ROOT.parent / "shared/data", type=Path)
    parser.add_argument("--models", default=ROOT / "models", type=Path)
    parser.add_argument("--out", default=ROOT / "build/quality", type=Path)
    parser.add_argument("--only", nargs="*", help="scalers to compare; all without it")
    parser.add_argument("--parts", nargs="*", default=["val", "set5", "clips", "steadiness"])
    args = parser.parse_args()
    if not args.data.exists():
        raise SystemExit(f"there is no folder {args.data}: give the test data's place by --data")
    torch.set_num_threads(2)
    compared = scalers(args.models, args.data / "weights")
    if args.only:
        compared = {name: scale for name, scale in compared.items() if name in args.only}
    args.out.mkdir(parents=True, exist_ok=True)
    figures, text = {}, []

    def measured(title, results):
        rows = {name: {m: f"{results[name][m]:.{2 if m == 'PSNR-Y' else 4}f}" for m in metrics.MEASURES}
                for name in results}
        text.append(table(title, list(metrics.MEASURES), rows))

    val = footage.pictures(args.data / "val")
    if "val" in args.parts:
        figures["val"] = stills(val, footage.CONDITIONS, compared)
        for condition, results in figures["val"].items():
            measured(f"Validation pictures, {condition}", results)
    if "set5" in args.parts:
        figures["set5"] = stills(footage.pictures(args.data / "images/set5", "*_hr.png"), ["bicubic"], compared)
        measured("Set5, bicubic", figures["set5"]["bicubic"])
    sequences = footage.sequences(args.data / "seq")
    if "clips" in args.parts:
        filmed = sequences | {"bbb_720p": footage.clip(args.data / "video/bbb_720p.mp4", 8, start=60)}
        figures["clips"] = {crf: clips(filmed, crf, compared) for crf in (23, 28, 33)}
        for crf, results in figures["clips"].items():
            measured(f"Clips as H.264 at CRF {crf}", results)
    if "steadiness" in args.parts:
        some = dict(list(val.items())[::4])
        figures["steadiness"] = found = steadiness(some, sequences, compared)
        base = found.get("lanczos", next(iter(found.values())))
        rows = {name: {kind: f"{row[kind]:.3f} ({row[kind] / base[kind]:.3f})" for kind in row}
                for name, row in found.items()}
        text.append(table("Mean change from frame to frame (ratio to Lanczos)", ["still", "moving"], rows))
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1))
    (args.out / "tables.md").write_text("\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
