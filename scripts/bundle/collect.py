"""Copies the files of the bundle: programs, plugins, ONNX Runtime, and the libraries that they load.

    collect.py BUNDLE TARGET RUNTIME PROVIDERS GPL

BUNDLE: the directory to fill. TARGET: cargo's output directory. RUNTIME: ONNX Runtime's directory;
empty to leave it out. PROVIDERS: for example "openvino" (the CPU provider is part of the library).
GPL: 1 includes GPL code.
Prints a line per file for licences.py: its source and its place in the bundle.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

# The C library: its loader must be the machine's own.
GLIBC = re.compile(
    r"(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread|resolv|util|nsl|anl|mvec|nss_.*|thread_db"
    r"|BrokenLocale))\.so.*"
)
# Libraries that a provider loads by name.
BY_NAME = {"openvino": ["libopenvino_intel_cpu_plugin.so"]}
# NVIDIA's libraries must not be redistributed; the bundle uses those of the machine.
NVIDIA = re.compile(r"lib(cu|nv|cudnn|cufft|curand|cublas).*")


def fail(why):
    sys.exit(f"bundle: {why}")


def run(*command, **options):
    return subprocess.run(command, text=True, capture_output=True, **options).stdout


def elements(with_gpl):
    """The names of the elements, and whether each is optional."""
    for line in (HERE / "elements.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if not words or (words[0] == "gpl" and not with_gpl):
            continue
        yield words[-1].lstrip("?"), words[-1].startswith("?")


def plugin_of(element, optional, with_gpl):
    """The file of the plugin that contains the element."""
    output = run("gst-inspect-1.0", element)
    found = re.search(r"^\s*Filename\s+(\S+)", output, re.M)
    if found and re.search(r"^\s*License\s+GPL", output, re.M) and not with_gpl:
        fail(f"the element {element} is under the GPL; mark it with 'gpl' in elements.txt")
    if found:
        return Path(found[1])
    if not optional:
        fail(f"the element {element} is not installed")
    print(f"bundle: skipped {element}: not installed", file=sys.stderr)
    return None


def needed_by(files, search):
    """The libraries that `files` load at start, except the C library: path by name."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(search or "")}
    found = {}
    for file in files:
        for line in run("ldd", str(file), env=environment).splitlines():
            name, arrow, rest = line.strip().partition(" => ")
            name = name.split()[0] if name else ""
            if not arrow or GLIBC.fullmatch(name) or NVIDIA.fullmatch(name):
                continue
            if rest.startswith("not found"):
                fail(f"{file} needs {name}, which is not installed")
            found[name] = Path(rest.split(" (")[0])
    return found


def runtime_files(runtime, providers):
    """ONNX Runtime's library and its provider libraries."""
    library = runtime / "libonnxruntime.so.1"
    if not library.exists():
        fail(f"{library} does not exist: run `make setup-onnxruntime`, or change RUNTIME")
    names = ["libonnxruntime.so.1"]
    for provider in providers:
        own = f"libonnxruntime_providers_{provider}.so"
        if not (runtime / own).exists():
            fail(f"{runtime} has no provider {provider}: set RUNTIME to a build that has it")
        names += [own, "libonnxruntime_providers_shared.so", *BY_NAME.get(provider, [])]
    return [runtime / name for name in dict.fromkeys(names)]


def main():
    bundle, target = (Path(argument).absolute() for argument in sys.argv[1:3])
    runtime = Path(sys.argv[3]).absolute() if sys.argv[3] else None
    providers, with_gpl = sys.argv[4].split(), sys.argv[5] == "1"

    # Place in the bundle: source.
    placed = {"bin/gst-upscale": target / "gst-upscale"}
    for tool in ["gst-launch-1.0", "gst-inspect-1.0"]:
        placed[f"bin/{tool}"] = Path(shutil.which(tool) or fail(f"{tool} is not installed"))
    placed["plugin/libgstupscale.so"] = target / "libgstupscale.so"
    for element, optional in elements(with_gpl):
        plugin = plugin_of(element, optional, with_gpl)
        if plugin:
            placed[f"lib/gstreamer-1.0/{plugin.name}"] = plugin
    for file in runtime_files(runtime, providers) if runtime else []:
        placed[f"lib/onnxruntime/{file.name}"] = file

    for name, path in needed_by(placed.values(), runtime).items():
        folder = "lib/onnxruntime" if path.parent == runtime else "lib"
        placed[f"{folder}/{name}"] = path

    for place, source in sorted(placed.items()):
        to = bundle / place
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, to)
        shutil.copymode(source, to)
        print(f"{source.resolve()}\t{place}")


main()
