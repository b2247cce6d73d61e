"""Trains a built-in model: python models/train/train.py builtin --data ../shared/data/train

Resumes from its last checkpoint when started again; a run of the same steps and seed lands
within noise of the figures in the model's card.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import data
import network

ROOT = Path(__file__).resolve().parents[2]


def psnr(a, b, border=2):
    a, b = (x[border:-border, border:-border].astype(np.float64) for x in (a, b))
    return 10 * math.log10(255**2 / max(np.mean((a - b) ** 2), 1e-9))


@torch.no_grad()
def enlarge(model, luma):
    """8-bit studio luma, even sides, to twice its size."""
    out = model(torch.from_numpy(data.to_unit(luma))[None, None])[0, 0].numpy()
    return np.clip(np.round(out * 219 + 16), 0, 255)


def validation_pairs(folder):
    """Clean bicubic halves, and H.264 at CRF 28, of the pictures in `folder`."""
    pairs = []
    for path in sorted(Path(folder).iterdir()):
        if path.suffix not in (".webp", ".png", ".jpg"):
            continue
        picture = Image.open(path).convert("RGB")
        width, height = (min(side, 512) // 4 * 4 for side in picture.size)
        picture = picture.crop((0, 0, width, height))
        small = picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
        coded = data.encode([np.asarray(small)] * 3, "libx264", {"crf": "28"})[-1]
        pairs.append((data.studio_luma(small), coded, data.studio_luma(picture)))
    return pairs


def validate(model, pairs):
    """Mean PSNR-Y gain over Pillow's Lanczos, in dB: clean, coded."""
    model.eval()
    gains = []
    for clean, coded, large in pairs:
        for small in (clean, coded):
            lanczos = np.asarray(Image.fromarray(small).resize(large.shape[::-1], Image.Resampling.LANCZOS))
            gains.append(psnr(enlarge(model, small), large) - psnr(lanczos, large))
    model.train()
    return float(np.mean(gains[0::2])), float(np.mean(gains[1::2]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["builtin"])
    parser.add_argument("--data", default=ROOT.parent / "shared/data/train", type=Path)
    parser.add_argument("--validation", default=ROOT.parent / "shared/data/val", type=Path)
    parser.add_argument("--work", default=ROOT / "build/train", type=Path)
    parser.add_argument("--steps", default=40000, type=int)
    parser.add_argument("--batch", default=16, type=int)
    parser.add_argument("--patch", default=48, type=int, help="side of the small patches, pixels")
    parser.add_argument("--rate", default=1e-3, type=float)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--every", default=1000, type=int, help="steps between checkpoints")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    pairs = data.load_pairs(args.data, args.work, seed=args.seed)
    held = validation_pairs(args.validation)
    model = network.Builtin().to(memory_format=torch.channels_last)
    mean = network.Builtin()  # exponential mean of the weights: what is exported
    mean.load_state_dict(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), args.rate, betas=(0.9, 0.99))
    checkpoint = args.work / f"{args.model}.pt"
    step, spent, curve = 0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(state["model"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent, curve = state["step"], state["spent"], state["curve"]
    source = data.batches(pairs, args.batch, args.patch, args.seed + step)
    start = time.time()
    while step < args.steps:
        share = step / args.steps
        rate = args.rate * min(1, (step + 1) / 500) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
        for group in optimiser.param_groups:
            group["lr"] = rate
        small, large = (torch.from_numpy(np.ascontiguousarray(x)) for x in next(source))
        small = small.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=share < 0.8):
            out = model(small)
        # Charbonnier: absolute error, smooth at zero (Lai et al. 2017).
        loss = torch.sqrt((out.float() - large) ** 2 + 1e-6).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            keep = min(0.999, step / (step + 10))
            for average, value in zip(mean.parameters(), model.parameters()):
                average.lerp_(value, 1 - keep)
        step += 1
        if step % args.every == 0 or step == args.steps:
            clean, coded = validate(mean, held)
            now = spent + time.time() - start
            curve.append((step, loss.item(), clean, coded))
            print(f"step {step}: loss {loss.item():.5f}, over Lanczos {clean:+.3f} dB clean, "
                  f"{coded:+.3f} dB coded, {now / 60:.1f} min", flush=True)
            part = checkpoint.with_suffix(".part")
            torch.save({"model": model.state_dict(), "mean": mean.state_dict(), "step": step,
                        "optimiser": optimiser.state_dict(), "spent": now, "curve": curve}, part)
            part.rename(checkpoint)
            (args.work / f"{args.model}-curve.json").write_text(json.dumps(curve))
            network.export(mean, args.work / f"{args.model}.onnx", {"steps": str(step)})


if __name__ == "__main__":
    main()
