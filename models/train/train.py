"""Trains a built-in model: python models/train/train.py builtin

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
import footage
import metrics
import network
import video

ROOT = Path(__file__).resolve().parents[2]
STILLS = 3  # pairs of frames in a batch that should come out alike
STEADY = 3.0  # weight of their difference


def validation_set(folder):
    """Of each picture in `folder`: its luma, and that of its half clean, coded, and noisy twice."""
    found = []
    for picture in footage.pictures(folder).values():
        width, height = (min(side, 512) // 4 * 4 for side in picture.size)
        picture = picture.crop((0, 0, width, height))
        small = np.asarray(footage.halve(picture))
        still = footage.noisy_still(picture, frames=10)[-4:]
        coded = footage.encode([small] * 3, 28)[-1:] + still
        lumas = [video.studio_luma(small), *(p.plane.astype(np.float32) for p in coded)]
        found.append((video.studio_luma(picture), lumas))
    return found


def lanczos(luma, size):
    return np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.LANCZOS))


@torch.no_grad()
def validate(model, held):
    """Against Pillow's Lanczos: gain in PSNR-Y (dB) clean and coded, flicker as a ratio."""
    model.eval()
    gains, flickers = [], []
    for large, smalls in held:
        ours = [np.clip(model(torch.from_numpy(video.to_unit(s))[None, None])[0, 0].numpy() * 219 + 16, 0, 255)
                for s in smalls]
        theirs = [lanczos(s, large.shape[::-1]) for s in smalls]
        gains.append([metrics.psnr(a, large) - metrics.psnr(b, large) for a, b in zip(ours[:2], theirs)])
        flickers.append([metrics.flicker(ours[2:]), metrics.flicker(theirs[2:])])
    model.train()
    ours, theirs = np.mean(flickers, axis=0)
    return [*np.mean(gains, axis=0).tolist(), float(ours / theirs)]


def loss_of(out, large):
    """Charbonnier (absolute error, smooth at zero: Lai et al. 2017), and unsteadiness."""
    error = torch.sqrt((out - large) ** 2 + 1e-6).mean()
    first, second = out[-2 * STILLS :: 2], out[-2 * STILLS + 1 :: 2]
    return error + STEADY * (first - second).abs().mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["builtin"])
    parser.add_argument("--data", default=ROOT.parent / "shared/data/train", type=Path)
    parser.add_argument("--validation", default=ROOT.parent / "shared/data/val", type=Path)
    parser.add_argument("--work", default=ROOT / "build/train", type=Path)
    parser.add_argument("--steps", default=36000, type=int)
    parser.add_argument("--batch", default=24, type=int)
    parser.add_argument("--patch", default=48, type=int, help="side of the small patches, pixels")
    parser.add_argument("--rate", default=1e-3, type=float)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--every", default=1000, type=int, help="steps between checkpoints")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    pairs = data.load_pairs(args.data, args.work, seed=args.seed)
    held = validation_set(args.validation)
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
    source = data.batches(pairs, args.batch, STILLS, args.patch, args.seed + step)
    start, losses = time.time(), []
    while step < args.steps:
        share = step / args.steps
        rate = args.rate * min(1, (step + 1) / 500) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
        for group in optimiser.param_groups:
            group["lr"] = rate
        small, large = (torch.from_numpy(x) for x in next(source))
        small = small.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=share < 0.8):
            out = model(small)
        loss = loss_of(out.float(), large)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            keep = min(0.999, step / (step + 10))
            for average, value in zip(mean.parameters(), model.parameters()):
                average.lerp_(value, 1 - keep)
        losses.append(loss.item())
        step += 1
        if step % args.every == 0 or step == args.steps:
            clean, coded, flicker = validate(mean, held)
            now = spent + time.time() - start
            curve.append((step, float(np.mean(losses)), clean, coded, flicker))
            print(f"step {step}: loss {curve[-1][1]:.5f}, over Lanczos {clean:+.3f} dB clean, {coded:+.3f} dB "
                  f"coded, flicker {flicker:.3f}, {now / 60:.1f} min", flush=True)
            losses.clear()
            part = checkpoint.with_suffix(".part")
            torch.save({"model": model.state_dict(), "mean": mean.state_dict(), "step": step,
                        "optimiser": optimiser.state_dict(), "spent": now, "curve": curve}, part)
            part.rename(checkpoint)
            (args.work / f"{args.model}-curve.json").write_text(json.dumps(curve))
            network.export(mean, args.work / f"{args.model}.onnx", {"steps": str(step)})


if __name__ == "__main__":
    main()
