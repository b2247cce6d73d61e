#!/usr/bin/env python3
"""Draws the figures of the documents from the tables in them: figures.py [--check]

With --check it writes nothing, and fails if a figure does not show its table. Needs only Python.
"""

import math
import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c1e21; } .title { font-size: 15px; font-weight: 600; }
.small, .value { font-size: 11px; } .small { fill: #5b6169; } line { stroke: #c9cdd2; }
.s0 { fill: #0b62c4; } .s1 { fill: #e08a1e; } .s2 { fill: #3a9d6b; } .s3 { fill: #8a63b8; } .s4 { fill: #7d858e; }
@media (prefers-color-scheme: dark) { text { fill: #e8eaed; } .small { fill: #a3a9b2; } line { stroke: #474d55; } }
"""

LABELS, WIDTH, BAR, GAP = 310, 400, 13, 12


def tables(path: str, title: str) -> list[list[list[str]]]:
    """The tables after a heading or a sentence that contains `title`: rows of cells, the head first."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if title not in text:
        raise SystemExit(f"{path} has no place called {title!r}")
    found, rows = [], []
    for line in text[text.index(title):].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            found.append([rows[0]] + rows[2:])
            rows = []
    return found + ([[rows[0]] + rows[2:]] if rows else [])


def number(cell: str) -> float | None:
    """The first number of a cell; None if there is none."""
    found = re.match(r"-?[\d.]+", cell.replace("−", "-"))
    return float(found[0]) if found else None


class Scale:
    """From values to pixels."""

    def __init__(self, values: list[float], is_log: bool) -> None:
        self.is_log = is_log
        self.least = 1.0 if is_log else min(0.0, *values)
        self.most = max(values)

    def at(self, value: float) -> float:
        if self.is_log:
            return LABELS + WIDTH * math.log(max(value, 0.5)) / math.log(self.most)
        return LABELS + WIDTH * (value - self.least) / (self.most - self.least)

    def zero(self) -> float:
        return self.at(1.0 if self.is_log else 0.0)


def bars(title, note, series, groups, text, is_log=False) -> str:
    """Bars of each group, one below the other. A group is a name and a value, or None, for each series."""
    scale = Scale([value for _, values in groups for value in values if value is not None], is_log)
    body = [f'<text class="title" x="8" y="22">{escape(title)}</text>',
            f'<text class="small" x="8" y="42">{escape(note)}</text>']
    x = 8
    for index, name in enumerate(series):
        body.append(f'<rect class="s{index}" x="{x}" y="54" width="11" height="11"/>')
        body.append(f'<text class="small" x="{x + 16}" y="64">{escape(name)}</text>')
        x += 34 + 6.2 * len(name)
    y = 84
    for name, values in groups:
        shown = [(index, value) for index, value in enumerate(values) if value is not None]
        middle = y + len(shown) * BAR / 2 + 4
        body.append(f'<text x="{LABELS - 10}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>')
        for index, value in shown:
            left, right = sorted([scale.zero(), scale.at(value)])
            body.append(f'<rect class="s{index}" x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" '
                        f'height="{BAR - 2}"/>')
            # On the left of a short bar, the label would cover the name of the group.
            is_right = is_log or value >= 0
            end, anchor = (max(right, scale.zero()) + 4, "start") if is_right else (left - 4, "end")
            body.append(f'<text class="value" x="{end:.1f}" y="{y + BAR - 3}" text-anchor="{anchor}">'
                        f"{escape(text(value))}</text>")
            y += BAR
        y += GAP
    body.append(f'<line x1="{scale.zero():.1f}" y1="76" x2="{scale.zero():.1f}" y2="{y - GAP + 4}"/>')
    width, height = LABELS + WIDTH + 60, y
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-label="{escape(title)}">\n<style>{STYLE}</style>\n'
            + "\n".join(body) + "\n</svg>\n")


def speed() -> str:
    head, *rows = tables("docs/BENCHMARKS.md", "## The built-in engine and other runtimes")[0]
    columns = ["native int16", "native fp32", "ncnn", "OpenVINO fp32", "ONNX Runtime"]
    groups = []
    for row in rows:
        times = [number(row[head.index(name)]) for name in columns]
        groups.append((row[0], [times[-1] / time if time else None for time in times]))
    return bars("Speed by engine, one thread", "Times as fast as ONNX Runtime in fp32. AMD EPYC with AVX-512.",
                columns, groups, lambda value: f"{value:.1f}×")


def reuse() -> str:
    head, *rows = tables("docs/BENCHMARKS.md", "## Reuse by layers")[0]
    columns = [head.index("exact"), head.index("tolerant")]
    groups = [(row[0], [number(row[column]) for column in columns]) for row in rows]
    return bars("Reuse by content", "Times as fast as without reuse, fp32. Logarithmic.",
                ["exact: equal to the bit", "tolerant"], groups, lambda value: f"{value:.3g}×", is_log=True)


def quality() -> str:
    head, *rows = tables("models/builtin.md", "**PSNR-Y, dB**")[0]
    values = {row[0]: row for row in rows}
    models = ["bicubic", "builtin", "builtin-quality", "realesr-animevideov3", "realesr-general-x4v3"]
    kinds = {"val bicubic": "photos, halved", "val CRF 23": "photos, H.264 CRF 23",
             "val CRF 33": "photos, H.264 CRF 33", "clips CRF 23": "clips, H.264 CRF 23"}
    groups = []
    for column, name in kinds.items():
        at = head.index(column)
        base = number(values["lanczos"][at])
        groups.append((name, [number(values[model][at]) - base for model in models]))
    return bars("Fidelity by model",
                "PSNR of the luma above that of Lanczos, in dB. A model that sharpens invents detail, which costs PSNR.",
                models, groups, lambda value: f"{value:+.2f}")


def main() -> int:
    figures = {"docs/speed-by-engine.svg": speed, "docs/reuse-by-content.svg": reuse,
               "docs/quality-by-model.svg": quality}
    stale = [path for path, draw in figures.items()
             if not (ROOT / path).exists() or (ROOT / path).read_text(encoding="utf-8") != draw()]
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"{path} does not show its table; run scripts/figures.py", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        (ROOT / path).write_text(figures[path](), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
