"""Compiles kernels/upscale.ptx to machine code with ptxas. Needs no GPU and no CUDA toolkit.

    python3 scripts/cubins.py PTXAS INPUT.ptx OUTPUT.zip

The archive has a file for each architecture in SHIPPED, and a hash of the PTX. The PTX is also
compiled for all others in CHECKED. A warning, a spilled register or too many registers is an error.
"""

import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

# A GPU of capability x.y runs the code for x.z, z ≤ y.
SHIPPED = ["75", "80", "86", "90", "100", "120"]
CHECKED = SHIPPED + ["87", "89", "103", "121"]
# 65536 registers are 3 blocks of 128 threads with 168 registers each, 4 blocks with 128.
MOST_REGISTERS = {"pack": 184, "unpack": 128, "finish": 168}
MOST_OTHER_REGISTERS = 64


def compile_for(ptxas, source, architecture, output):
    """Compiles `source` and returns what is wrong with the result."""
    done = subprocess.run(
        [ptxas, "-v", f"-arch=sm_{architecture}", source, "-o", output],
        capture_output=True, text=True)
    log = done.stderr + done.stdout
    if done.returncode:
        return [log]
    faults = [line for line in log.splitlines() if re.search("warning|error", line, re.I)]
    kernels = re.findall(
        r"function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill "
        r"loads.*?Used (\d+) registers", log, re.S)
    if len(kernels) != pathlib.Path(source).read_text().count(".visible .entry"):
        faults.append("the report of ptxas was not understood")
    for name, stack, stores, loads, registers in kernels:
        limit = MOST_REGISTERS.get(name.split("_")[0], MOST_OTHER_REGISTERS)
        if int(stack) or int(stores) or int(loads):
            faults.append(f"{name} spills registers")
        if int(registers) > limit:
            faults.append(f"{name} uses {registers} registers, at most {limit} are allowed")
    return faults


def main():
    ptxas, source, output = sys.argv[1:]
    digest = hashlib.sha256(pathlib.Path(source).read_bytes()).hexdigest()
    faults = []
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(output, "w") as archive:
        files = [("ptx.sha256", digest.encode())]
        for architecture in CHECKED:
            cubin = pathlib.Path(folder, f"sm_{architecture}.cubin")
            found = compile_for(ptxas, source, architecture, cubin)
            faults += [f"sm_{architecture}: {fault}" for fault in found]
            if not found and architecture in SHIPPED:
                files.append((cubin.name, cubin.read_bytes()))
        for name, data in files:
            # The same time in every archive, so that equal code gives equal archives.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data, compresslevel=9)
    for fault in faults:
        print(f"kernels: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
