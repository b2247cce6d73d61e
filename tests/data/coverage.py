"""Print a table of architectures: their number in OpenModelDB and the worst difference to a reference.

    UPSCALE_REFERENCES=FOLDER cargo nextest run --test model references --no-capture > LOG
    python coverage.py MODELS LOG

MODELS is `data/models` of a checkout of OpenModelDB, FOLDER what `architectures.py` wrote.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

# Each row: our name, the start of the names of its references, OpenModelDB's names, and how it is
# checked elsewhere.
OFFICIAL = "official weights, tests/model/weights.rs"
SMALL = "PyTorch, tests/model/architectures.rs"
ROWS = [
    ("RRDBNet (ESRGAN, ESRGAN+)", "esrgan", ["esrgan", "esrgan+"], OFFICIAL),
    ("SRVGGNetCompact", None, ["compact"], OFFICIAL),
    ("SPAN", None, ["span"], OFFICIAL),
    ("SPANPlus", "spanplus", [], None),
    ("DAT", "dat", ["dat"], None),
    ("SwinIR", "swinir", ["swinir"], None),
    ("Swin2SR", "swin2sr", [], None),
    ("OmniSR", "omnisr", ["omnisr"], None),
    ("RealPLKSR, PLKSR", ("realplksr", "plksr"), ["realplksr", "realplksr-dysample"], None),
    ("SRFormer", "srformer", ["srformer"], None),
    ("HAT", "hat", ["hat"], None),
    ("RGT", "rgt", ["rgt"], None),
    ("Real-CUGAN", "cugan", ["real-cugan", "cugan"], None),
    ("DRCT", "drct", ["drct"], None),
    ("ATD", "atd", ["atd"], None),
    ("MoSR", "mosr_", ["mosr"], None),
    ("MoSRv2", "mosrv2", [], None),
    ("RTMoSR", "rtmosr", [], None),
    ("RCAN", "rcan", ["rcan"], None),
    ("DCTLSA", "dctlsa", ["dctlsa"], None),
    ("MoESR", "moesr", [], None),
    ("DITN", "ditn", ["ditn"], None),
    ("Swift-SRGAN", "swiftsrgan", ["swift-srgan"], None),
    ("SAFMN", "safmn", [], None),
    ("FDAT", "fdat", [], None),
    ("EDSR", None, ["edsr"], SMALL),
    ("FSRCNN, ESPCN, SRCNN, VDSR", None, [], SMALL),
    ("DnCNN, FDnCNN", ("dncnn", "fdncnn"), [], None),
    ("DRUNet", "drunet", [], None),
    ("FBCNN", "fbcnn", [], None),
    ("NAFNet", "nafnet", [], None),
    ("SCUNet", "scunet", [], None),
    ("GFPGAN", "gfpgan", [], None),
    ("CodeFormer", "codeformer", [], None),
]
RESSELT = ("spanplus", "mosrv2", "rtmosr")


def differences(log):
    """The largest difference of each network, relative to its largest value."""
    found = {}
    for line in Path(log).read_text().splitlines():
        name = line.split(" ")[0]
        pairs = re.findall(r"\d+x\d+: ([\d.e-]+) of ([\d.]+)", line)
        if pairs:
            found[name] = max(float(worst) / float(largest) for worst, largest in pairs)
    return found


def main():
    files = [json.loads(path.read_text()) for path in Path(sys.argv[1]).glob("*.json")]
    counts = Counter(model["architecture"].lower() for model in files)
    found = differences(sys.argv[2])
    print("| architecture | in OpenModelDB | networks | reference | worst relative difference |")
    print("|---|---|---|---|---|")
    covered = set()
    for name, start, theirs, other in ROWS:
        covered.update(theirs)
        own = [value for key, value in found.items() if start and key.startswith(start)]
        source = "resselt" if start in RESSELT else "spandrel"
        sources = ([source] if own else []) + ([other] if other else [])
        worst = f"{max(own):.0e}" if own else "-"
        number = sum(counts[key] for key in theirs)
        print(f"| {name} | {number or '-'} | {len(own) or '-'} | {'; '.join(sources)} | {worst} |")
    opened = sum(counts[key] for key in covered)
    print(f"\n{opened} of {len(files)} models: {100 * opened / len(files):.1f} %. The others: "
          + ", ".join(f"{key} {count}" for key, count in counts.most_common() if key not in covered))


main()
