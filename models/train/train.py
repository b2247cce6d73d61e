"""Trains a built-in model: python models/train/train.py builtin (or builtin-quality)

Resumes from its last checkpoint when started again. The model cards say how closely a second run
reproduces their figures.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch
import torch._dynamo
from PIL import Image

import data
import footage
import metrics
import network
import scalers
import video

ROOT = Path(__file__).resolve().parents[2]
LUMA = 0.75  # weight of the luma error; the R'G'B' error has the rest
EDGES = 0.1  # weight of the error of whole patches, added to that of their inside


class Phase(NamedTuple):
    """Batches and loss from a given step on."""

    step: int
    batch: int
    stills: int  # pairs of static frames per batch, whose outputs should be equal
    clean: float  # share of the others that were only halved
    steady: float  # weight of the difference between frames of a pair
    patch: int  # side of the small patches, pixels
    border: int  # pixels at their edge that count little, since zero padding affects them
    fresh: float = 0.0  # share of the clean ones that are any window, halved with the bicubic filter
    tries: int = 1  # candidate places per pair; the one that differs most is used
    calm: float = 0.0  # weight of that difference relative to the input's difference
    decibel: float = 0.0  # weight of the PSNR of each patch, dB; 0: Charbonnier loss instead


class Recipe(NamedTuple):
    """What differs from model to model."""

    network: Callable
    colour: bool
    steps: int
    every: int  # steps between checkpoints
    exact: float  # share of the steps in bf16; fp32 after that
    phases: list[Phase]
    deepened: int | None = None  # the step at which the body gets twice its layers


LATE = Phase(11000, 8, 1, 0.8, 0.0, 80, 6, fresh=0.75, tries=6, calm=0.08, decibel=0.01)
RECIPES = {
    "builtin": Recipe(network.Builtin, False, 36000, 1000, 0.8, [Phase(0, 24, 3, 0.55, 3.0, 48, 0)]),
    "builtin-quality": Recipe(lambda: network.Compact(64, 8, 2), True, 23000, 500, 0.98, [
        Phase(0, 16, 3, 0.55, 3.0, 48, 0),
        Phase(5000, 14, 2, 0.7, 2.0, 56, 6),
        LATE,
        LATE._replace(step=12500, calm=0.045),
        LATE._replace(step=17000, calm=0.06),
        LATE._replace(step=19000, calm=0.1),
        LATE._replace(step=21000, calm=0.08)], deepened=11000),
}


def validation_set(folder):
    """For each picture in `folder`: its luma, and half-size versions: clean, coded, four noisy frames."""
    found = []
    for picture in footage.pictures(folder).values():
        width, height = (min(side, 512) // 4 * 4 for side in picture.size)
        picture = picture.crop((0, 0, width, height))
        small = np.asarray(footage.halve(picture))
        still = footage.noisy_still(picture, frames=10)[-4:]
        coded = footage.encode([small] * 3, 28)[-1:]
        found.append((video.studio_luma(picture), [video.Picture(small), *coded, *still]))
    return found


def lanczos(luma, size):
    return np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.LANCZOS))


@torch.no_grad()
def doubled(model, picture, colour):
    """Limited-range luma of a `video.Picture` enlarged by `model`, not rounded."""
    if colour:
        planes = model(torch.from_numpy(data.to_planes(picture.rgb[None])))[0].numpy()
        return video.studio_luma(np.clip(planes.transpose(1, 2, 0), 0, 1) * 255)
    planes = model(torch.from_numpy(video.to_unit(luma_of(picture)))[None, None])[0, 0].numpy()
    return np.clip(planes * 219 + 16, 0, 255)


def luma_of(picture):
    return video.studio_luma(picture.rgb) if picture.plane is None else picture.plane.astype(np.float32)


def validate(model, held, colour):
    """Gains over Pillow's Lanczos in PSNR-Y (dB), clean and coded, and the flicker ratio."""
    model.eval()
    gains, flickers = [], []
    for large, smalls in held:
        ours = [doubled(model, picture, colour) for picture in smalls]
        theirs = [lanczos(luma_of(picture), large.shape[::-1]) for picture in smalls]
        gains.append([metrics.psnr(a, large) - metrics.psnr(b, large) for a, b in zip(ours[:2], theirs)])
        flickers.append([metrics.flicker(ours[2:]), metrics.flicker(theirs[2:])])
    model.train()
    ours, theirs = np.mean(flickers, axis=0)
    return [*np.mean(gains, axis=0).tolist(), float(ours / theirs)]


def error_of(out, large, phase):
    """The Charbonnier loss (Lai et al. 2017), or the negative PSNR of each patch, so that patches that
    cannot be restored do not outweigh those that can."""
    squares = (out - large) ** 2
    if phase.decibel:
        return phase.decibel * 10 * torch.log10(squares.mean((1, 2, 3)) + 2e-5).mean()
    return torch.sqrt(squares + 1e-6).mean()


def pair_changes(frames, pairs):
    """The mean absolute difference between the two frames of each of the last `pairs` pairs."""
    return (frames[-2 * pairs :: 2] - frames[-2 * pairs + 1 :: 2]).abs().mean((1, 2, 3))


def inside(planes, border):
    """`planes` without their outer `border` pixels."""
    return planes[..., border:-border, border:-border] if border else planes


def picture_error(out, large, phase):
    """The error of R'G'B' and, with weight `LUMA`, of its luma."""
    error = error_of(out, large, phase)
    if out.shape[1] == 1:
        return error
    weights = out.new_tensor(scalers.LUMA)[None, :, None, None]
    out, large = ((planes * weights).sum(1, keepdim=True) for planes in (out, large))
    return (1 - LUMA) * error + LUMA * error_of(out, large, phase)


def loss_of(small, out, large, phase):
    """Picture error plus temporal instability."""
    inner, target = (inside(planes, 2 * phase.border) for planes in (out, large))
    change = pair_changes(inner, phase.stills)
    share = change / (pair_changes(inside(small, phase.border), phase.stills) + 1e-3)
    unsteadiness = (phase.steady * change + phase.calm * share).mean()
    edges = EDGES * picture_error(out, large, phase) if phase.border else 0.0
    return picture_error(inner, target, phase) + edges + unsteadiness


def prepared(model, rate):
    """The compiled `model` and its optimiser."""
    model.to(memory_format=torch.channels_last)
    return torch.compile(model, dynamic=False), torch.optim.Adam(model.parameters(), rate, betas=(0.9, 0.99))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=RECIPES)
    parser.add_argument("--data", default=ROOT.parent / "shared/data/train", type=Path)
    parser.add_argument("--validation", default=ROOT.parent / "shared/data/val", type=Path)
    parser.add_argument("--work", default=ROOT / "build/train", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rate", default=1e-3, type=float)
    parser.add_argument("--seed", default=1, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--every", type=int, help="steps between checkpoints")
    args = parser.parse_args()
    recipe = RECIPES[args.model]
    recipe = recipe._replace(**{name: value for name in ("steps", "every") if (value := getattr(args, name))})

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch._dynamo.config.suppress_errors = True  # runs uncompiled if there is no C++ compiler
    pairs = data.load_pairs(args.data, args.work, recipe.colour, seed=args.seed)
    held = validation_set(args.validation)
    model = recipe.network()
    mean = recipe.network()  # exponential moving average of the weights, which is exported
    mean.load_state_dict(model.state_dict())
    checkpoint = args.work / f"{args.model}.pt"
    step, spent, curve, state = 0, 0.0, [], None
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        step, spent, curve = state["step"], state["spent"], state["curve"]
        if recipe.deepened is not None and step > recipe.deepened:
            model, mean = model.deepened(), mean.deepened()
        model.load_state_dict(state["model"])
        mean.load_state_dict(state["mean"])
    fast, optimiser = prepared(model, args.rate)
    if state:
        optimiser.load_state_dict(state["optimiser"])
    start, losses, phase = time.time(), [], None
    while step < recipe.steps:
        if step == recipe.deepened:
            model, mean = model.deepened(), mean.deepened()
            fast, optimiser = prepared(model, args.rate)
        if (due := [it for it in recipe.phases if it.step <= step][-1]) is not phase:
            phase, source = due, data.batches(pairs, due, args.seed + step)
        share = step / recipe.steps
        rate = args.rate * min(1, (step + 1) / 500) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
        for group in optimiser.param_groups:
            group["lr"] = rate
        small, large = (torch.from_numpy(x) for x in next(source))
        small = small.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=share < recipe.exact):
            out = fast(small)
        loss = loss_of(small, out.float(), large, phase)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            keep = min(0.999, step / (step + 10))
            for average, value in zip(mean.parameters(), model.parameters()):
                average.lerp_(value, 1 - keep)
        losses.append(loss.item())
        step += 1
        if step % recipe.every == 0 or step == recipe.steps:
            clean, coded, flicker = validate(mean, held, recipe.colour)
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
