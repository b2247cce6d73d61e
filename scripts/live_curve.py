#!/usr/bin/env python3
"""Draws what `benches/live.rs` wrote with UPSCALE_CURVE: live_curve.py CURVE.csv FROM,TO OUTPUT.png

FROM,TO are the seconds between which other processes used the CPU (UPSCALE_BUSY_SECONDS). Needs
matplotlib.
"""

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main() -> None:
    path, busy, output = sys.argv[1:]
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    seconds = [int(row[0]) for row in rows]
    models = [Path(row[1]).stem for row in rows]
    frames = [int(row[2]) for row in rows]
    stays = [int(row[3]) for row in rows]
    shares = [[100 * float(row[column]) for row in rows] for column in (4, 5, 6)]
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(9, 6), layout="constrained")
    labels = ["model", "model, reused", "Lanczos"]
    top.stackplot(seconds, shares, labels=labels, colors=["#2a7fb8", "#9ecae1", "#fdae6b"])
    top.set_ylabel("share of the picture (%)")
    top.set_ylim(0, 100)
    changes = [
        (second, after)
        for second, before, after in zip(seconds[1:], models, models[1:])
        if before != after
    ]
    for number, (second, model) in enumerate(changes):
        top.axvline(second, color="black", linewidth=1)
        # Labels of changes in quick succession must not overlap.
        top.annotate(f" {model}", (second, 96 - 8 * (number % 4)), va="top")
    bottom.plot(seconds, frames, label="frames per second")
    bottom.plot(seconds, stays, label="longest time of a frame in the element (ms)")
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("time (s)")
    for axes in (top, bottom):
        axes.axvspan(*map(float, busy.split(",")), color="grey", alpha=0.25, label="CPU busy")
    top.legend(loc="lower right")
    bottom.legend(loc="upper right")
    figure.savefig(output, dpi=100)


if __name__ == "__main__":
    main()
