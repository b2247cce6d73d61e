"""Compares the built-in models with classic scalers: python models/train/evaluate.py

Writes tables (Markdown) and all figures (JSON) to build/quality. None of the pictures was used for
training.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import footage
import metrics
from scalers import LANCZOS, scalers
from video import studio_luma

ROOT = Path(__file__).resolve().parents[2]


def mean(rows):
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def table(title, rows):
    """A Markdown table; `rows` maps name to column to text."""
    columns = list(next(iter(rows.values())))
    lines = [f"**{title}**", "", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += ["| " + " | ".join([name, *row.values()]) + " |" for name, row in rows.items()]
    return "\n".join(lines) + "\n"


def report(figures):
    """One table per measure, and one of the frame-to-frame change."""
    text = []
    for measure, more in metrics.MEASURES.items() if figures["quality"] else ():
        digits = 2 if measure == "PSNR-Y" else 3 if measure != "GMSD" else 4
        rows = {name: {condition: f"{row[measure]:.{digits}f}" for condition, row in conditions.items()}
                for name, conditions in figures["quality"].items()}
        text.append(table(f"{measure} ({'higher' if more else 'lower'} is better)", rows))
    if figures["steadiness"]:
        rows = {name: {kind: f"{change:.4f} ({ratio:.2f})" for kind, (change, ratio) in row.items()}
                for name, row in figures["steadiness"].items()}
        text.append(table("Mean change from frame to frame (ratio to Lanczos)", rows))
    return "\n".join(text)


def stills(pictures, condition, compared):
    """Maps each scaler to its measures, averaged over the pictures."""
    samples = [footage.sample(picture, condition) for picture in pictures.values()]
    return {name: mean([metrics.measure(scale.luma(small), studio_luma(large)) for small, large in samples])
            for name, scale in compared.items()}


def clips(sequences, crf, compared):
    """Maps each scaler to its measures on halved and encoded sequences, every fourth frame."""
    rows = {name: [] for name in compared}
    for frames in sequences.values():
        coded = footage.encode([np.asarray(footage.halve(frame)) for frame in frames], crf)
        for small, frame in list(zip(coded, frames))[2::4]:
            for name, scale in compared.items():
                rows[name].append(metrics.measure(scale.luma(small), studio_luma(frame)))
    return {name: mean(row) for name, row in rows.items()}


def steadiness(pictures, sequences, compared):
    """Maps each scaler to its frame-to-frame change and the ratio to Lanczos, for noisy stills and along
    the motion of sequences, both as H.264 at CRF 28.

    Lanczos is always included, since x264 does not give the same video in every run.
    """
    compared = {"lanczos": LANCZOS, **compared}
    found = {name: {"still": [], "moving": []} for name in [*compared, "original"]}
    for picture in pictures.values():
        frames = footage.noisy_still(picture, frames=24)[4:]  # the first ones show the encoder's start
        found["original"]["still"].append(0)
        for name, scale in compared.items():
            found[name]["still"].append(metrics.flicker([scale.luma(f) for f in frames]))
    for frames in sequences.values():
        originals = [studio_luma(np.asarray(frame)) for frame in frames]
        motions = metrics.motions(originals)
        found["original"]["moving"].append(metrics.unsteadiness(originals, motions))
        coded = footage.encode([np.asarray(footage.halve(frame)) for frame in frames], 28)
        for name, scale in compared.items():
            lumas = [scale.luma(small) for small in coded]
            found[name]["moving"].append(metrics.unsteadiness(lumas, motions))
    means = {name: {kind: float(np.mean(row[kind])) for kind in row} for name, row in found.items()}
    base = means["lanczos"]
    return {name: {kind: (row[kind], row[kind] / base[kind]) for kind in row} for name, row in means.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=ROOT.parent / "shared/data", type=Path)
    parser.add_argument("--models", default=ROOT / "models", type=Path)
    parser.add_argument("--out", default=ROOT / "build/quality", type=Path)
    parser.add_argument("--only", nargs="*", help="scalers to compare (default: all)")
    parser.add_argument("--add", action="store_true", help="keep the figures of other scalers from an earlier run")
    parser.add_argument("--parts", nargs="*", default=["val", "set5", "clips", "steadiness"])
    args = parser.parse_args()
    if not args.data.exists():
        raise SystemExit(f"{args.data} does not exist; set the test data folder with --data")
    torch.set_num_threads(2)
    everything = scalers(args.models, args.data / "weights")
    compared = {name: scale for name, scale in everything.items() if not args.only or name in args.only}
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / "figures.json"
    earlier = json.loads(kept.read_text()) if args.add and kept.exists() else {}
    figures = {part: earlier.get(part, {}) for part in ("quality", "steadiness")}

    def measured(condition, results):
        for name, row in results.items():
            figures["quality"].setdefault(name, {})[condition] = row
        kept.write_text(json.dumps(figures, indent=1))
        print(condition, {name: round(row["PSNR-Y"], 3) for name, row in results.items()}, flush=True)

    val = footage.pictures(args.data / "val")
    sequences = footage.sequences(args.data / "seq")
    if "val" in args.parts:
        for condition in footage.CONDITIONS:
            measured(f"val {condition}", stills(val, condition, compared))
    if "set5" in args.parts:
        measured("Set5", stills(footage.pictures(args.data / "images/set5", "*_hr.png"), "bicubic", compared))
    if "clips" in args.parts:
        filmed = sequences | {"bbb_720p": footage.clip(args.data / "video/bbb_720p.mp4", 8, start=60)}
        for crf in (23, 28, 33):
            measured(f"clips CRF {crf}", clips(filmed, crf, compared))
    if "steadiness" in args.parts:
        figures["steadiness"] |= steadiness(val, sequences, compared)
    order = [*everything, "original"]
    figures = {part: dict(sorted(rows.items(), key=lambda row: order.index(row[0]))) for part, rows in figures.items()}
    kept.write_text(json.dumps(figures, indent=1))
    (args.out / "tables.md").write_text(report(figures))
    print(report(figures))


if __name__ == "__main__":
    main()
