"""Writes THIRD-PARTY.txt: the licences of everything in the bundle.

    licences.py RUNTIME GPL < output of collect.py

Fails if the bundle contains GPL code although GPL is not 1.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

RULE = "=" * 78
# Packages whose copyright file puts everything under the GPL, although only their programs are; their
# libraries are under LGPL-2.1+, or LGPL-3+ or GPL-2+.
LGPL_LIBRARIES = {"libblkid1", "libmount1", "libdw1", "libelf1"}
COMMON = Path("/usr/share/common-licenses")
NAMES = re.compile(r"^(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE).*", re.I)


def run(*command):
    return subprocess.run(command, text=True, capture_output=True).stdout


def owner(path):
    """The Debian package that a file belongs to, or None."""
    # A package may list the path from before /lib became /usr/lib.
    for name in [str(path), str(path).removeprefix("/usr")]:
        found = run("dpkg-query", "--search", name)
        if found:
            return found.split(": ")[0].split(", ")[0]
    return None


def is_gpl(copyright_text):
    """Whether the main files of a package are under the GPL only, according to its copyright file
    in Debian's machine-readable format."""
    for stanza in re.split(r"\n\s*\n", copyright_text):
        if re.search(r"^Files:\s*\*\s*$", stanza, re.M):
            licence = re.search(r"^License:\s*(.*)", stanza, re.M)
            return bool(licence and re.match(r"GPL(?!.* or )", licence[1].strip()))
    return False


def debian(files):
    """The licence texts of the packages that the files belong to, and the names of GPL packages."""
    by_package = defaultdict(list)
    for source, place in files:
        package = owner(source)
        if package is None:
            sys.exit(f"bundle: {source} belongs to no Debian package, so its licence is unknown")
        by_package[package].append(place)
    texts, gpl = [], []
    for package, places in sorted(by_package.items()):
        fields = "${Package}\t${Version}\t${source:Package}\t${source:Version}"
        name, version, source, source_version = run(
            "dpkg-query", "--show", "--showformat", fields, package
        ).split("\t")
        text = Path(f"/usr/share/doc/{name}/copyright").read_text(errors="replace")
        if is_gpl(text) and name not in LGPL_LIBRARIES:
            gpl.append(name)
        texts.append(
            f"{RULE}\n{name} {version}: {', '.join(sorted(places))}\n"
            f"Debian source package {source} {source_version}, "
            f"https://snapshot.debian.org/package/{source}/{source_version}/\n{RULE}\n\n{text}"
        )
    return texts, gpl


def crates():
    """The licence texts of the Rust crates that are compiled in, each text once."""
    host = re.search(r"host: (\S+)", run("rustc", "-vV"))[1]
    output = run("cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={host}")
    metadata = json.loads(output)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    ours = metadata["workspace_members"]
    todo, seen = list(ours), set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        for dependency in nodes[node]["deps"]:
            # Skips dependencies of tests and of build scripts.
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    seen -= set(ours)
    by_text = defaultdict(list)
    for crate in sorted((packages[node] for node in seen), key=lambda crate: crate["name"]):
        name = f"{crate['name']} {crate['version']} ({crate['license'] or 'see its text'})"
        folder = Path(crate["manifest_path"]).parent
        files = [file for file in sorted(folder.iterdir()) if file.is_file() and NAMES.match(file.name)]
        texts = [file.read_text(errors="replace").strip() for file in files]
        for text in texts or ["The crate contains no licence text."]:
            by_text[text].append(name)
    return [
        f"{RULE}\nRust crates: {', '.join(names)}\n{RULE}\n\n{text}\n"
        for text, names in by_text.items()
    ]


def common(name):
    """The text of a licence that packages refer to by name."""
    path = COMMON / name
    text = path.read_text() if path.is_file() else "This text was not available when the bundle was made.\n"
    return f"{RULE}\n{path}\n{RULE}\n\n{text}"


def main():
    runtime = Path(sys.argv[1]).resolve() if sys.argv[1] else None
    with_gpl = sys.argv[2] == "1"
    files = [line.rstrip("\n").split("\t") for line in sys.stdin]
    target = [file for file in files if Path(file[1]).name in ("gst-upscale", "libgstupscale.so")]
    ort = [file for file in files if runtime and Path(file[0]).is_relative_to(runtime)]
    texts, gpl = debian([file for file in files if file not in target and file not in ort])
    if gpl and not with_gpl:
        sys.exit(f"bundle: these packages are under the GPL: {' '.join(gpl)}; remove them, or set GPL=1")
    print(
        "gst-upscale itself is under the MIT licence or Apache 2.0, at your option: LICENSE-MIT,\n"
        "LICENSE-APACHE. This directory also contains the following software. Libraries under the\n"
        "LGPL are separate files in lib/ and can be replaced by other builds.\n"
    )
    if gpl:
        print(
            f"This directory as a whole may be redistributed only under the GPL, with the sources,\n"
            f"because of: {', '.join(gpl)}.\n"
        )
    print(
        "It contains no NVIDIA libraries. Patents may cover some of its codecs (H.264, H.265); check\n"
        "whether you need patent licences.\n"
    )
    if ort:
        places = ", ".join(place for _, place in ort)
        print(f"{RULE}\nONNX Runtime and the libraries of its build: {places}\n{RULE}\n")
        for name in ["LICENSE", "ThirdPartyNotices.txt"]:
            if (runtime / name).exists():
                print((runtime / name).read_text(errors="replace"))
    if any("openvino" in place for _, place in ort):
        print(
            f"{RULE}\nOpenVINO and oneTBB: Apache License 2.0, Copyright Intel Corporation and\n"
            f"contributors. https://github.com/openvinotoolkit/openvino, "
            f"https://github.com/uxlfoundation/oneTBB\nThe text of that licence is in "
            f"LICENSE-APACHE.\n{RULE}\n"
        )
    texts += crates()
    named = set(re.findall(rf"{COMMON}/([\w.-]*\w)", "".join(texts)))
    for text in texts + [common(name) for name in sorted(named)]:
        print(text)
    print(
        f"{RULE}\nThe Rust standard library: MIT or Apache 2.0, Copyright The Rust Project\n"
        f"Contributors. https://github.com/rust-lang/rust\n{RULE}"
    )


main()
