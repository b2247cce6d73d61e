"""Draws a learning curve: python models/train/curves.py build/train/builtin-curve.json OUT.png"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curve", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    steps, loss, clean, coded, flicker = zip(*json.loads(args.curve.read_text()))
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(9, 2.6), dpi=80, layout="constrained")
    left.plot(steps, loss, "k")
    left.set_title("training loss")
    middle.plot(steps, clean, label="clean")
    middle.plot(steps, coded, label="H.264, CRF 28")
    middle.set_title("PSNR-Y over Lanczos, dB")
    middle.legend()
    right.plot(steps, flicker)
    right.axhline(1, color="gray", linewidth=0.5)
    right.set_title("flicker, ratio to Lanczos")
    for axes in (left, middle, right):
        axes.set_xlabel("steps")
        axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:.0f}k")
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
