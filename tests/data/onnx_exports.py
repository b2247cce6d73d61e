"""Export networks with random weights to .onnx in many forms, and compare the command with ONNX Runtime.

    python onnx_exports.py write FOLDER [NAME …]
    python onnx_exports.py compare FOLDER GST_UPSCALE [NAME …]

`write` needs torch, onnx, onnxscript, spandrel, spandrel_extra_arches and resselt; it writes one file
per line of `EXPORTS`. `compare` needs onnx, onnxruntime, numpy and pillow: it enlarges a picture of each
size of `SIZES` with ONNX Runtime and with the command, prints a table of the worst differences in steps
of 8 bits, and exits with 1 if a file that ONNX Runtime runs was refused or differs by more than one
step, or two where the file computes in half precision. Where sides must be multiples of a number,
ONNX Runtime gets the picture as the command pads it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SIZES = [(64, 48), (72, 60), (50, 41), (97, 35)]

# The size of exports without free dimensions: width, height.
FIXED = SIZES[0]

# The width and height of the picture that exporters trace.
TRACED = (64, 64)

# What the command may reflect the sides of a picture up to.
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)


class Export:
    """What one file is made from.

    network: a name of `architectures.NETWORKS` or of `networks()`. exporter: "legacy" or "dynamo".
    half: weights and arithmetic in float16. ends: what goes in and comes out besides float in 0..1.
    """

    def __init__(self, network, opset, exporter="legacy", fixed=False, half=False, ends=""):
        self.network, self.opset, self.exporter = network, opset, exporter
        self.fixed, self.half, self.ends = fixed, half, ends

    @property
    def name(self):
        parts = [self.network, f"op{self.opset}", self.exporter, "fixed" if self.fixed else "",
                 "fp16" if self.half else "", self.ends]
        return ".".join(part for part in parts if part)


def legacy(network, *opsets, **how):
    return [Export(network, opset, **how) for opset in opsets]


def dynamo(network, *opsets, **how):
    return legacy(network, *opsets, exporter="dynamo", **how)


EXPORTS = [
    # Convolutions.
    *legacy("compact_x2", 11, 17, 20), *dynamo("compact_x2", 18, 20),
    *legacy("compact_x2", 17, fixed=True), *dynamo("compact_x2", 20, fixed=True),
    *legacy("compact_x2", 17, half=True), *dynamo("compact_x2", 20, half=True),
    *legacy("esrgan_x4", 11, 17, 20), *dynamo("esrgan_x4", 20), *legacy("esrgan_x4", 17, half=True),
    *legacy("esrgan_x2_unshuffle", 17), *dynamo("esrgan_x2_unshuffle", 20),
    *legacy("span_x2", 11, 17), *dynamo("span_x2", 20), *legacy("span_x2", 20, half=True),
    *legacy("realplksr_x4", 17, 20), *dynamo("realplksr_x4", 18),
    *legacy("realplksr_x2_dysample", 17, fixed=True), *dynamo("realplksr_x2_dysample", 20),
    *legacy("mosr_x2", 17), *dynamo("mosr_x2", 20), *legacy("rcan_x4", 11),
    *legacy("rcan_x2_unshuffle", 17, half=True), *legacy("safmn_x2", 17), *dynamo("safmn_x2", 20),
    *legacy("cugan_x2", 17), *legacy("cugan_x2", 17, fixed=True), *dynamo("cugan_x3", 20),
    *legacy("swiftsrgan_x2", 11), *legacy("dncnn", 17), *legacy("nafnet", 20),
    *legacy("spanplus_x2", 17), *legacy("rtmosr_x2", 17), *dynamo("mosrv2_x4", 20),
    # Attention.
    *legacy("swinir_x2", 17, 20), *legacy("swinir_x2", 17, fixed=True),
    *dynamo("swinir_x2", 20, fixed=True), *legacy("swinir_x4_real", 17, half=True),
    *legacy("swin2sr_x2", 17), *legacy("swin2sr_x2", 17, fixed=True), *dynamo("swin2sr_x2", 20, fixed=True),
    *legacy("hat_x4", 17), *dynamo("hat_x4", 20, fixed=True), *legacy("dat_x2", 17, fixed=True),
    *dynamo("dat_x2", 20, fixed=True), *legacy("omnisr_x2", 17), *legacy("omnisr_x2", 17, half=True),
    *legacy("srformer_x2", 17, fixed=True), *legacy("drct_x2", 17, fixed=True),
    *legacy("rgt_x2", 17, fixed=True), *legacy("atd_x2", 17, fixed=True),
    *legacy("ditn_x2", 17), *legacy("ditn_x2", 17, fixed=True), *legacy("fdat_x4", 17),
    *legacy("fdat_x2_direct", 17, fixed=True), *dynamo("fdat_x2_direct", 20, fixed=True),
    # Inputs and outputs of other kinds.
    *legacy("compact_x2", 11, ends="nhwc"), *legacy("compact_x2", 17, ends="uint8"),
    *legacy("compact_x2", 20, ends="uint8-nhwc"), *dynamo("compact_x2", 20, ends="uint8-nhwc"),
    *legacy("compact_x2", 17, ends="bf16"), *dynamo("compact_x2", 20, ends="bf16"),
    *legacy("compact_x2", 17, ends="255"), *dynamo("compact_x2", 20, ends="255"),
    *legacy("esrgan_x2_unshuffle", 17, ends="nhwc"), *legacy("compact_x2", 17, half=True, ends="255"),
    *legacy("span_x2", 17, ends="uint8"), *legacy("compact_x2", 17, fixed=True, ends="nhwc"),
]


def picture(size):
    """Columns and rows of all grey levels: samples (37 i mod 101) · 2.5, i row by row."""
    width, height = size
    samples = (np.arange(3 * width * height) * 37 % 101 * 2.5).astype(np.uint8)
    return samples.reshape(3, height, width).transpose(1, 2, 0)


def networks():
    from importlib import import_module

    from architectures import NETWORKS, rrdb
    from spandrel.architectures.SPAN import SPAN

    SRVGGNetCompact = import_module("spandrel.architectures.Compact.__arch.SRVGG").SRVGGNetCompact

    return NETWORKS | {
        "compact_x2": lambda: SRVGGNetCompact(num_feat=16, num_conv=4, upscale=2),
        "esrgan_x4": lambda: rrdb(num_filters=16, num_blocks=1, scale=4),
        "esrgan_x2_unshuffle": lambda: rrdb(in_nc=12, num_filters=16, num_blocks=1, scale=4,
                                            shuffle_factor=2),
        "span_x2": lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2),
    }


def with_ends(network, picture_in, export):
    """The network with its output moved and scaled into 0..1, and with the ends of `export`."""
    import torch

    ends = export.ends
    kind = torch.float16 if export.half else torch.float32

    class Ends(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network
            with torch.no_grad():
                output = network(picture_in)
            enlarges = export.network == "compact_x2"
            self.scale = 1.0 if enlarges else 0.2 / float(output.std())
            self.offset = 0.0 if enlarges else 0.5 - self.scale * float(output.mean())

        def forward(self, x):
            if "nhwc" in ends:
                x = x.permute(0, 3, 1, 2)
            in_bytes = "uint8" in ends or "255" in ends
            x = x.to(kind)
            x = x / 255.0 if in_bytes else x
            y = self.network(x) * self.scale + self.offset
            if in_bytes:
                y = y * 255.0
            if "uint8" in ends:
                y = torch.clamp(torch.round(y), 0.0, 255.0).to(torch.uint8)
            elif "bf16" in ends:
                y = y.to(torch.bfloat16)
            return y.permute(0, 2, 3, 1) if "nhwc" in ends else y

    return Ends().eval()


def write_one(folder, export):
    import torch
    from architectures import randomize

    torch.manual_seed(5)
    network = networks()[export.network]()
    if export.network == "compact_x2":
        # Nearly the enlargement that it adds to: a grey picture stays grey, as with trained weights.
        with torch.no_grad():
            for value in network.parameters():
                value *= 0.9
        network.eval()
    else:
        randomize(network)
    width, height = FIXED if export.fixed else TRACED
    image = torch.from_numpy(picture((width, height)).copy()).permute(2, 0, 1)[None]
    as_floats = image.float() / 255
    whole = with_ends(network, as_floats, export)
    if export.half:
        whole.network.half()
    element = torch.float16 if export.half else torch.float32
    x = as_floats.to(element)
    if "uint8" in export.ends:
        x = image
    elif "bf16" in export.ends:
        x = as_floats.bfloat16()
    elif "255" in export.ends:
        x = image.to(element)
    rows, columns = 2, 3
    if "nhwc" in export.ends:
        x = x.permute(0, 2, 3, 1).contiguous()
        rows, columns = 1, 2
    how = {"input_names": ["input"], "output_names": ["output"], "opset_version": export.opset}
    if export.exporter == "legacy":
        if not export.fixed:
            axes = {0: "batch", rows: "height", columns: "width"}
            how["dynamic_axes"] = {"input": axes, "output": axes}
        how["dynamo"] = False
    else:
        if not export.fixed:
            from torch.export import Dim

            how["dynamic_shapes"] = ({rows: Dim.DYNAMIC, columns: Dim.DYNAMIC},)
        how |= {"dynamo": True, "external_data": False, "verbose": False}
    with torch.no_grad():
        torch.onnx.export(whole, (x,), str(folder / f"{export.name}.onnx"), **how)


def write(folder, names):
    """Each file by a process of its own: exporters crash on some networks."""
    import warnings

    import torch
    from architectures import portable
    from spandrel_extra_arches import install

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    install()
    portable()
    folder.mkdir(parents=True, exist_ok=True)
    for export in EXPORTS:
        if names and export.name not in names:
            continue
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                print(f"{export.name}: not exported: signal {os.WTERMSIG(status)}", flush=True)
            continue
        try:
            write_one(folder, export)
            print(export.name, flush=True)
        except Exception as error:  # Exporters fail in many ways.
            print(f"{export.name}: not exported: {type(error).__name__}: "
                  f"{(str(error).splitlines() or [''])[0][:160]}", flush=True)
        os._exit(0)


def with_float_ends(model):
    """The model with casts to and from float32, so that numpy knows the elements of its ends."""
    from onnx import TensorProto, helper

    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    source = next(value for value in graph.input if value.name not in weights)
    result = graph.output[0]
    old_in, old_out = source.name, result.name
    kind = source.type.tensor_type.elem_type
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = {old_in: "cast_in", old_out: "cast_out"}.get(name, name)
    first = helper.make_node("Cast", [old_in], ["cast_in"], to=kind)
    last = helper.make_node("Cast", ["cast_out"], [old_out], to=TensorProto.FLOAT)
    graph.node.insert(0, first)
    graph.node.append(last)
    source.type.tensor_type.elem_type = TensorProto.FLOAT
    result.type.tensor_type.elem_type = TensorProto.FLOAT
    return model


def session(path):
    import onnx
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = with_float_ends(onnx.load(path)).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def by_onnx_runtime(network, export, size, multiple):
    """The picture of ONNX Runtime, height × width × 3 in 8 bits, for the input reflected at the right
    and the bottom up to multiples of `multiple`; None where it fails."""
    width, height = size
    x = picture(size).astype(np.float32)
    padding = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    x = np.pad(x, padding, "reflect")
    in_bytes = "255" in export.ends or "uint8" in export.ends
    x = x if in_bytes else x / 255
    x = x if "nhwc" in export.ends else x.transpose(2, 0, 1)
    try:
        y = network.run(None, {network.get_inputs()[0].name: x[None]})[0][0]
    except Exception:
        return None
    y = y if "nhwc" in export.ends else y.transpose(1, 2, 0)
    y = y if in_bytes else y * 255
    return np.round(np.clip(y, 0, 255)).astype(np.int32)


def cell(network, export, size, actual):
    """What the table says of one picture, and its worst difference; None where nothing compares."""
    found = {}
    for multiple in MULTIPLES:
        if multiple > 1 and all(side % multiple == 0 for side in size):
            continue
        expected = by_onnx_runtime(network, export, size, multiple)
        if expected is None:
            continue
        if actual is None:
            return "refused", 255
        rows, columns = actual.shape[:2]
        # A picture whose size is no multiple of the input's is not that of the input.
        if multiple > 1 or expected.shape == actual.shape:
            found[multiple] = int(np.abs(actual - expected[:rows, :columns]).max())
    if not found:
        return "neither" if actual is None else "ours only", None
    multiple = min(found, key=lambda multiple: found[multiple])
    worst = found[multiple]
    unpadded = f"; {found[1]} without" if multiple > 1 and 1 in found else ""
    return (f"{worst} (padded to {multiple}{unpadded})" if multiple > 1 else f"{worst}"), worst


def by_command(command, path, size, scratch):
    """The picture of the command, and why there is none."""
    from PIL import Image

    source, result = scratch / "in.png", scratch / "out.png"
    Image.fromarray(picture(size)).save(source)
    result.unlink(missing_ok=True)
    run = subprocess.run([command, "upscale", source, result, "--model", path, "--threads", "1",
                          "--precision", "fp32"],
                         capture_output=True, text=True, timeout=300)
    if run.returncode or not result.exists():
        lines = run.stderr.strip().splitlines() or [f"exit code {run.returncode}"]
        return None, lines[-1]
    return np.asarray(Image.open(result).convert("RGB")).astype(np.int32), ""


def compare(folder, command, names):
    print("| file | " + " | ".join(f"{w}×{h}" for w, h in SIZES) + " |")
    print("|---|" + "---|" * len(SIZES))
    files, compared, worst_of_all, failed = 0, 0, 0, []
    with tempfile.TemporaryDirectory() as scratch:
        for export in EXPORTS:
            path = folder / f"{export.name}.onnx"
            if not path.exists() or (names and export.name not in names):
                continue
            files += 1
            cells = []
            network = session(path)
            for size in SIZES:
                actual, why = by_command(command, path, size, Path(scratch))
                text, worst = cell(network, export, size, actual)
                cells.append(text)
                if worst is None:
                    continue
                compared += 1
                worst_of_all = max(worst, worst_of_all)
                if worst > (2 if export.half else 1):
                    failed.append(f"{export.name} {size}: {text} {why}")
            print(f"| {export.name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\n{files} files, {compared} pictures, at most {worst_of_all}/255")
    print("\n".join(failed))
    sys.exit(bool(failed))


def main():
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == "write":
        write(folder, sys.argv[3:])
    else:
        compare(folder, sys.argv[3], sys.argv[4:])


if __name__ == "__main__":
    main()
