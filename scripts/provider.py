"""Writes the source of the libraries under ONNX Runtime's CUDA provider (tests/provider/runtime.c).

    python3 scripts/provider.py PROVIDER.so OUTPUT_FOLDER

Adds a function that only succeeds for every symbol that the provider needs and runtime.c lacks, and
a version script with the names of the libraries that they belong to.
"""

import collections
import pathlib
import re
import subprocess
import sys

RUNTIME = pathlib.Path(__file__).resolve().parent.parent / "tests/provider/runtime.c"


def main():
    provider, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", provider], capture_output=True, text=True, check=True)
    needed = collections.defaultdict(list)
    for line in listed.stdout.splitlines():
        name, _, version = line.split()[-1].partition("@")
        version = version.lstrip("@")
        if version.startswith("libcu"):
            needed[version].append(name)
    source = RUNTIME.read_text()
    defined = set(re.findall(r"\b(\w+)\([^;{}]*\) \{", source))
    names = [name for names in needed.values() for name in names]
    others = [f'int {name}(void) {{ return note("{name}"), 0; }}'
              for name in names if name not in defined]
    (folder / "runtime.c").write_text(source + "\n" + "\n".join(others) + "\n")
    versions = [f"{version} {{ global: {'; '.join(names)}; }};"
                for version, names in needed.items()]
    (folder / "versions.txt").write_text("\n".join(versions) + "\n")
    headers = subprocess.run(["objdump", "-p", provider], capture_output=True, text=True, check=True)
    # Some libraries are needed without a function of theirs.
    print("\n".join(re.findall(r"NEEDED\s+(libcu\S+)", headers.stdout)))


if __name__ == "__main__":
    main()
