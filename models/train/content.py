"""Trains the network that tells drawn pictures from photographs, `cli/models/content.safetensors`.

    python models/train/content.py            # train, write the weights and print the scores
    python models/train/content.py --steps 10 # a trial

Pictures of `../shared/data/train` are labelled by their names; those of `val` and the clips are only for
reporting. Every picture is also used in two encoded copies, which are kept in `build/train/content`. PyTorch,
Pillow and NumPy as in requirements.txt; FFmpeg encodes and decodes.
"""

import argparse
import io
import json
import random
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared/data"
ENCODED = ROOT / "build/train/content"
WEIGHTS = ROOT / "cli/models/content.safetensors"
DRAWN = ("gopher", "lines", "paris_map", "pc_", "tenniel", "text_", "ui_", "sub_autumn", "sub_contest",
         "bud_waves_painting", "bud_waves_slate")
BOTH = ("ui_newsbar.jpg", "pop_wireframe.jpg", "mdn_whiteboard.jpg", "bud_graffiti.jpg",
        "bud_abstract_spiral.jpg")
DRAWN_CLIPS = ("popeye", "pattern")
SIDE = 192  # of a training window
SHORT_SIDE = 224  # of a picture that is classified
CHANNELS = (16, 24, 32, 32)
STRIDES = (2, 1, 2, 2)
EPSILON = 1e-4


class Network(nn.Module):
    """Convolutions; the means and standard deviations of all channels but those of the first go to one
    linear layer."""

    def __init__(self):
        super().__init__()
        sizes = zip((3, *CHANNELS), CHANNELS, STRIDES)
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 3, stride, 1) for i, o, stride in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in CHANNELS)
        statistics = 2 * sum(CHANNELS[1:])
        self.norm = nn.BatchNorm1d(statistics)
        self.dropout = nn.Dropout(0.3)
        self.last = nn.Linear(statistics, 1)

    def forward(self, pictures):
        planes, statistics = (pictures - 0.5) * 2, []
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms)):
            planes = torch.relu(norm(layer(planes)))
            if index > 0:
                statistics += [planes.mean((2, 3)), planes.var((2, 3)).add(EPSILON).sqrt()]
        return self.last(self.dropout(self.norm(torch.cat(statistics, 1))))[:, 0]

    def folded(self):
        """The weights without normalisation, by name."""
        tensors = {}
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms)):
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            tensors[f"layer{index}.weight"] = layer.weight * gain[:, None, None, None]
            tensors[f"layer{index}.bias"] = (layer.bias - norm.running_mean) * gain + norm.bias
        gain = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        offset = self.norm.bias - self.norm.running_mean * gain
        tensors["last.weight"] = self.last.weight[0] * gain
        tensors["last.bias"] = self.last.bias + (self.last.weight[0] * offset).sum()
        return tensors


def write(tensors, path):
    """Writes a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        samples = tensor.detach().numpy().astype("<f4")
        start = len(content)
        content += samples.tobytes()
        header[name] = {"dtype": "F32", "shape": list(samples.shape), "data_offsets": [start, len(content)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)


def pictures(folder, drawn=DRAWN):
    """Names, pictures, and 1 for drawn or 0 for photographed."""
    for path in sorted((DATA / folder).iterdir()):
        if path.suffix in (".jpg", ".png", ".webp") and path.name not in BOTH:
            yield path.name, Image.open(path).convert("RGB"), float(path.name.startswith(drawn))


def encoded(labelled, seed=3):
    """Frames of videos of low quality: each picture twice, panned slowly, so that the encoder predicts."""
    rng = random.Random(seed)
    ENCODED.mkdir(parents=True, exist_ok=True)
    for name, picture, label in labelled:
        for copy in range(2):
            scale = min(1, rng.choice([240, 288, 360, 480, 576]) / min(picture.size))
            width, height = (int(side * scale) // 2 * 2 for side in picture.size)
            kind, noise, frame = rng.random(), rng.choice([0, 0, 4, 8]), rng.randint(2, 10)
            if kind < 0.5:
                codec = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(rng.randint(28, 44))]
            elif kind < 0.8:
                codec = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:pools=1",
                         "-crf", str(rng.randint(30, 44))]
            else:
                quantizer = str(rng.randint(8, 28))
                codec = ["-c:v", "mpeg2video", "-qmin", quantizer, "-qmax", quantizer]
            path = ENCODED / f"{Path(name).stem}-{copy}.png"
            if not path.exists():
                still, video = ENCODED / "still.png", ENCODED / "video.mkv"
                picture.resize((width, height), Image.LANCZOS).save(still)
                pan = f"crop={width - 8}:{height - 8}:n/2:n/3,format=yuv420p,noise=alls={noise}:allf=t"
                ffmpeg = ["ffmpeg", "-v", "error", "-y"]
                loop = ["-loop", "1", "-framerate", "24", "-t", "0.5", "-i", still]
                subprocess.run([*ffmpeg, *loop, "-vf", pan, *codec, video], check=True)
                select = ["-vf", f"select=eq(n\\,{frame})", "-frames:v", "1"]
                subprocess.run([*ffmpeg, "-i", video, *select, path], check=True)
            yield path.name, Image.open(path).convert("RGB"), label


def clips():
    """Names, five frames each, and the label."""
    for path in sorted((DATA / "video").iterdir()):
        probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]
        duration = float(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
        frames = []
        for place in range(5):
            start = f"{duration * (place + 0.5) / 5:.2f}"
            command = ["ffmpeg", "-v", "error", "-ss", start, "-i", path, "-frames:v", "1", "-c:v", "png",
                       "-f", "image2pipe", "-"]
            output = subprocess.run(command, capture_output=True, check=True).stdout
            if output:
                frames.append(Image.open(io.BytesIO(output)).convert("RGB"))
        yield path.name, frames, float(path.name.startswith(DRAWN_CLIPS))


def tensor(samples):
    return torch.from_numpy(samples.astype(np.float32) / 255).permute(2, 0, 1)


def to_bytes(samples):
    return (samples.clip(0, 1) * 255).round().astype(np.uint8)


def blurred(samples, share):
    """Reduced to this share of its side, and enlarged again."""
    small = Image.fromarray(to_bytes(samples)).resize((int(SIDE * share),) * 2, Image.BILINEAR)
    return np.asarray(small.resize((SIDE, SIDE), Image.BICUBIC)).astype(np.float32) / 255


def window(picture, rng):
    """A window of the picture at a random scale, degraded as old and compressed footage is."""
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    short = min(picture.size)
    side = SIDE * short / rng.uniform(SIDE, max(SIDE, min(short, SIDE * 2.2)))
    width, height = picture.size
    x, y = rng.uniform(0, max(0, width - side)), rng.uniform(0, max(0, height - side))
    kernel = rng.choice([Image.BICUBIC, Image.LANCZOS, Image.BILINEAR])
    cut = picture.resize((SIDE, SIDE), kernel, box=(x, y, min(width, x + side), min(height, y + side)))
    if rng.random() < 0.5:
        cut = cut.transpose(Image.FLIP_LEFT_RIGHT)
    samples = np.asarray(cut).astype(np.float32) / 255
    if rng.random() < 0.3:
        samples = np.repeat((samples @ luma)[..., None], 3, 2)
    if rng.random() < 0.4:
        samples = samples ** rng.uniform(0.7, 1.4)
    if rng.random() < 0.4:
        samples = samples * rng.uniform(0.6, 1) + rng.uniform(0, 0.15)
    if rng.random() < 0.3:
        mean = samples.mean(axis=2, keepdims=True)
        samples = mean + (samples - mean) * rng.uniform(0.3, 1.4)
    if rng.random() < 0.1:
        samples = 1 - samples
    if rng.random() < 0.3:
        samples = blurred(samples, rng.uniform(0.5, 0.95))
    if rng.random() < 0.35:
        strength = rng.uniform(0, 0.05)
        noise = np.random.randn(SIDE, SIDE, 1 if rng.random() < 0.6 else 3).astype(np.float32)
        if rng.random() < 0.5:
            noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 1.6
        samples = samples + strength * noise
    samples = to_bytes(samples)
    if rng.random() < 0.6:
        file, quality = io.BytesIO(), rng.randint(25, 95)
        Image.fromarray(samples).save(file, "JPEG", quality=quality, subsampling=rng.choice([0, 2]))
        samples = np.asarray(Image.open(file).convert("RGB"))
    return tensor(samples)


def train(steps, seed=0):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    np.random.seed(seed)
    labelled = list(pictures("train"))
    labelled += encoded(labelled)
    kinds = [[entry for entry in labelled if entry[2] == kind] for kind in (0.0, 1.0)]
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=2e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    mean, start = None, time.time()
    for step in range(steps):
        batch = [rng.choice(kinds[index % 2]) for index in range(24)]
        windows = torch.stack([window(picture, rng) for _, picture, _ in batch])
        labels = torch.tensor([label * 0.94 + 0.03 for *_, label in batch])
        loss = nn.functional.binary_cross_entropy_with_logits(network(windows), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {mean:.3f}, {time.time() - start:.0f} s", flush=True)
    return network.eval()


@torch.no_grad()
def score(network, picture):
    width, height = picture.size
    scale = SHORT_SIDE / min(width, height)
    if scale < 1:
        picture = picture.resize((round(width * scale), round(height * scale)), Image.BILINEAR)
    return network(tensor(np.asarray(picture))[None]).item()


def report(network):
    """Prints the scores of what was not trained on, and that of the picture of the unit test."""
    right = total = 0
    for name, frames, label in [*((n, [p], l) for n, p, l in pictures("val")), *clips()]:
        scores = [score(network, frame) for frame in frames]
        found = float(sum(scores) > 0)
        right, total = right + (found == label), total + 1
        print(f"{'' if found == label else 'WRONG '}{name}: {', '.join(f'{it:.2f}' for it in scores)}")
    print(f"{right} of {total} right")
    x, y = np.meshgrid(np.arange(100), np.arange(75))
    test = np.stack([(x * 7 + y * 3) % 256, (x * y) % 256, (x * x + 5 * y) % 256], 2).astype(np.uint8)
    print(f"test picture: {score(network, Image.fromarray(test)):.7f}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--steps", type=int, default=1500)
    network = train(arguments.parse_args().steps)
    write(network.folded(), WEIGHTS)
    report(network)
