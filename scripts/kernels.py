"""Compiles kernels/upscale.cu to PTX with NVRTC. Needs no GPU and no CUDA toolkit.

    python3 scripts/kernels.py NVRTC_FOLDER OUTPUT.ptx

NVRTC_FOLDER contains libnvrtc.so.12 and libnvrtc-builtins.so of the pinned wheel; the latter is
found through LD_LIBRARY_PATH. The first lines of the PTX record a hash of the sources and the
compiler's options; the tests check the hash.
"""

import ctypes
import hashlib
import pathlib
import sys

KERNELS = pathlib.Path(__file__).resolve().parent.parent / "kernels"
# Without fused multiply-add, sums round as in the CPU stages.
OPTIONS = ["--gpu-architecture=compute_75", "--fmad=false", "--std=c++17"]


def sources():
    """Names and contents of the sources, sorted by name."""
    files = [path for path in KERNELS.iterdir() if path.suffix in (".cu", ".h")]
    return [(path.name, path.read_bytes()) for path in sorted(files)]


def digest():
    """A hash of the names, lengths and contents of all sources."""
    state = hashlib.sha256()
    for name, text in sources():
        state.update(f"{name} {len(text)}\n".encode())
        state.update(text)
    return state.hexdigest()


def compile_ptx(folder):
    """The PTX of kernels/upscale.cu, compiled by the NVRTC in `folder`."""
    nvrtc = ctypes.CDLL(str(folder / "libnvrtc.so.12"))
    program = ctypes.c_void_p()

    def check(status):
        if status == 0:
            return
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value + 1)
        nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(f"kernels: NVRTC error {status}\n{log.value.decode()}")

    text = dict(sources())
    names = [name for name in text if name.endswith(".h")]
    count = len(names)
    strings = lambda items: (ctypes.c_char_p * len(items))(*items)
    headers = strings([text[name] for name in names])
    include_names = strings([name.encode() for name in names])
    main = text["upscale.cu"]
    check(nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), main, b"upscale.cu", count, headers, include_names))
    options = strings([option.encode() for option in OPTIONS])
    check(nvrtc.nvrtcCompileProgram(program, len(OPTIONS), options))
    size = ctypes.c_size_t()
    check(nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size)))
    ptx = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetPTX(program, ptx))
    return ptx.value.decode()


def main():
    folder, output = map(pathlib.Path, sys.argv[1:])
    ptx = compile_ptx(folder)
    output.write_text(f"// sources: {digest()}\n// options: {' '.join(OPTIONS)}\n{ptx}")


if __name__ == "__main__":
    main()
