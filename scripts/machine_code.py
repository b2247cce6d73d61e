"""Translates the committed PTX into C++ that takes the place of kernels/upscale.cu.

    python3 scripts/machine_code.py INPUT.ptx OUTPUT.cu

The tests can then run the machine code that ships on the CPU (scripts/machine_code.sh). Every
access to memory is checked for its alignment, and reported to `machine_code::access`. An
instruction that this program does not know is an error.
"""

import pathlib
import re
import sys

PRELUDE = r"""// Written by scripts/machine_code.py.
#include <cmath>
#include <cstring>
#include "compare.h"
#include "finish.h"
#include "pack.h"
#include "region.h"
#include "unpack.h"

namespace machine_code {
using s32 = int;
using s64 = long long;

/// Accesses whose address is no multiple of their size.
inline u64 misaligned = 0;
/// Called for each access, with the number of the instruction.
inline thread_local void (*access)(u32 site, u64 address, u32 bytes, bool shared) = nullptr;

template <class To, class From>
static inline To bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static inline void check(u32 site, u64 address, u32 bytes, bool shared) {
    misaligned += address % bytes != 0;
    if (access)
        access(site, address, bytes, shared);
}

template <class T>
static inline T read(u64 address) {
    T value;
    memcpy(&value, (const void *)address, sizeof value);
    return value;
}

template <class T>
static inline void write(u64 address, T value) {
    memcpy((void *)address, &value, sizeof value);
}

static inline u64 insert(u64 from, u64 to, u32 start, u32 length) {
    const u64 mask = (length >= 64 ? ~0ull : (1ull << length) - 1) << start;
    return (to & ~mask) | (from << start & mask);
}
"""

ARGUMENTS = {
    "unpack": "Unpack", "pack": "Pack", "finish": "Finish", "gather": "Gather",
    "scatter": "Scatter", "compare": "Compare", "update": "Compare",
}
TYPES = {
    "u8": "u8", "u16": "u16", "u32": "u32", "s32": "s32", "b32": "u32", "u64": "u64",
    "s64": "s64", "b64": "u64", "f32": "float", "b16": "u16", "pred": "bool",
}
SIZES = {"u8": 1, "u16": 2, "u32": 4, "s32": 4, "b32": 4, "f32": 4, "u64": 8, "s64": 8, "b64": 8}
SPECIAL = re.compile(r"%(tid|ntid|ctaid|nctaid)\.([xyz])")
SPECIAL_NAMES = {"tid": "threadIdx", "ntid": "blockDim", "ctaid": "blockIdx", "nctaid": "gridDim"}
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
# Unordered: also true if an operand is not a number.
NEGATED = {"ltu": ">=", "leu": ">", "gtu": "<=", "geu": "<"}
BINARY = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^",
          "div": "/", "rem": "%"}


def split(operands):
    """Operands at the commas outside of brackets."""
    return [part.strip() for part in re.split(r",(?![^{\[]*[}\]])", operands) if part.strip()]


class Kernel:
    """One `.entry`."""

    def __init__(self, name, parameter, size, body, first_site):
        self.name, self.parameter, self.size = name, parameter, size
        self.site = first_site
        self.types = {}
        self.shared = []
        lines = [line.split("//")[0].strip() for line in body.splitlines()]
        self.statements = [self.statement(line) for line in lines if line]

    def register(self, operand):
        """The type of a register, or None."""
        match = re.fullmatch(r"%([a-z]+)\d+", operand)
        return self.types.get(match[1]) if match else None

    def value(self, operand):
        special = SPECIAL.fullmatch(operand)
        if special:
            return f"{SPECIAL_NAMES[special[1]]}.{special[2]}"
        if operand.startswith("%"):
            return operand[1:]
        if operand.startswith("0f"):
            return f"bits<float>(0x{operand[2:]}u)"
        if operand == self.parameter:
            return "(u64)parameters"
        if operand in self.shared:
            return f"(u64){operand}"
        int(operand, 0)
        return f"{operand}ll"

    def of_type(self, kind, operand):
        return f"({TYPES[kind]})({self.value(operand)})"

    def address(self, operand):
        base, _, offset = operand[1:-1].partition("+")
        return f"({self.value(base.strip())} + {offset.strip() or 0})"

    def statement(self, line):
        if line.startswith(".reg"):
            kind, name, count = re.fullmatch(r"\.reg \.(\w+)\s+%(\w+)<(\d+)>;", line).groups()
            self.types[name] = TYPES[kind]
            return f"{TYPES[kind]} " + ", ".join(f"{name}{i}" for i in range(int(count))) + ";"
        if line.startswith(".pragma"):
            return ""
        if line.startswith(".shared"):
            align, name, size = re.fullmatch(
                r"\.shared \.align (\d+) \.b8 (\w+)\[(\d+)\];", line).groups()
            self.shared.append(name)
            return f"alignas({align}) static thread_local u8 {name}[{size}];"
        if line.endswith(":"):
            return self.label(line[:-1]) + ": ;"
        condition, line = re.fullmatch(r"(?:@(!?%p\d+)\s+)?(.*);", line).groups()
        operation, _, operands = line.partition(" ")
        text = self.instruction(operation.split("."), split(operands.strip()))
        return f"if ({condition.replace('%', '')}) {{ {text} }}" if condition else text

    @staticmethod
    def label(name):
        return name.replace("$", "")

    def instruction(self, parts, operands):
        name, kind = parts[0], parts[-1]
        if name == "ret":
            return "return;"
        if name == "bra":
            return f"goto {self.label(operands[0])};"
        if name == "bar" and parts[1:] == ["warp", "sync"] and operands == ["-1"]:
            return "sync_warp();"
        if name in ("ld", "st"):
            return self.memory(name, parts[1:], operands)
        if name == "mov":
            return self.move(operands)
        if name == "atom" and parts[1:] == ["global", "or", "b32"]:
            to, at, bits = operands
            return (f"{{ const u64 at = {self.address(at)}; {self.check('at', 4, False)} "
                    f"const u32 old = read<u32>(at); write<u32>(at, old | {self.value(bits)}); "
                    f"{self.value(to)} = old; }}")
        to, result = operands[0], None
        values = [self.value(operand) for operand in operands]
        typed = lambda index: self.of_type(kind, operands[index])
        if name == "cvta":
            result = values[1]
        elif name == "setp":
            symbol = COMPARISONS.get(parts[1])
            negated = symbol is None
            symbol = symbol or NEGATED[parts[1]]
            result = f"{'!' if negated else ''}({typed(1)} {symbol} {typed(2)})"
        elif name == "selp":
            result = f"{values[3]} ? {typed(1)} : {typed(2)}"
        elif name in ("shl", "shr"):
            width, symbol = SIZES[kind] * 8, "<<" if name == "shl" else ">>"
            result = (f"(u32)({values[2]}) >= {width} ? 0 : "
                      f"{typed(1)} {symbol} (u32)({values[2]})")
        elif name in ("min", "max") and kind == "u32":
            result = f"{name}imum({typed(1)}, {typed(2)})"
        elif name == "max" and kind == "f32":
            result = f"fmaxf({values[1]}, {values[2]})"
        elif name == "min" and kind == "f32":
            result = f"fminf({values[1]}, {values[2]})"
        elif name == "not":
            result = f"~{typed(1)}" if kind != "pred" else f"!{values[1]}"
        elif name == "neg":
            result = f"-{typed(1)}"
        elif name == "mad" and parts[1] == "lo":
            unsigned = [f"(u32)({value})" for value in values[1:]]
            result = f"{unsigned[0]} * {unsigned[1]} + {unsigned[2]}"
        elif name == "mul" and parts[1] == "wide" and kind == "u32":
            result = f"(u64){typed(1)} * {typed(2)}"
        elif name == "mul" and parts[1] == "hi" and kind == "u64":
            result = f"(u64)((unsigned __int128){typed(1)} * {typed(2)} >> 64)"
        elif name == "bfi" and kind == "b64":
            result = f"insert({', '.join(values[1:])})"
        elif name == "cvt":
            result = self.convert(parts[1:], values[1])
        elif name in BINARY and parts[1] != "hi":
            if kind == "pred":
                result = f"{values[1]} {BINARY[name]} {values[2]}"
            else:
                # Signed sums and products wrap around.
                unsigned = kind.replace("s", "u") if name not in ("div", "rem") else kind
                first, second = (self.of_type(unsigned, it) for it in operands[1:3])
                result = f"{first} {BINARY[name]} {second}"
        if result is None:
            sys.exit(f"machine_code: unknown instruction {'.'.join(parts)} {operands}")
        return f"{self.value(to)} = {result};"

    @staticmethod
    def convert(parts, value):
        kinds = ".".join(parts)
        if kinds == "f32.f16":
            return f"(float)bits<_Float16>({value})"
        if kinds == "rn.f16.f32":
            # The GPU has only this NaN.
            return f"std::isnan({value}) ? 0x7FFF : bits<u16>((_Float16){value})"
        if kinds == "rn.f32.u32":
            return f"(float)(u32){value}"
        to, source = parts
        return f"({TYPES[to]})({TYPES[source]})({value})"

    def move(self, operands):
        to, source = operands
        if source.startswith("{"):
            low, high = split(source[1:-1])
            kind = self.register(to)
            shift = 16 if kind == "u32" else 32
            return f"{to[1:]} = {low[1:]} | ({kind}){high[1:]} << {shift};"
        if to.startswith("{"):
            low, high = split(to[1:-1])
            shift = 16 if self.register(source) == "u32" else 32
            return f"{low[1:]} = {source[1:]}; {high[1:]} = {source[1:]} >> {shift};"
        kind, other = self.register(to), self.register(source)
        if other and other != kind:
            return f"{to[1:]} = bits<{kind}>({source[1:]});"
        if kind == "float" and not source.startswith(("%", "0f")):
            return f"{to[1:]} = bits<float>((u32){source});"
        if kind != "float" and source.startswith("0f"):
            return f"{to[1:]} = 0x{source[2:]}u;"
        return f"{to[1:]} = {self.value(source)};"

    def check(self, address, size, shared):
        self.site += 1
        return f"check({self.site}, {address}, {size}, {str(shared).lower()});"

    def memory(self, name, parts, operands):
        space, kind = parts[0], parts[-1]
        at, registers = (operands[1], operands[0]) if name == "ld" else operands
        registers = split(registers[1:-1]) if registers.startswith("{") else [registers]
        size = SIZES[kind]
        # Arguments are constants.
        check = "" if space == "param" else self.check(
            "at", size * len(registers), space == "shared")
        steps = []
        for index, register in enumerate(registers):
            place, value = f"at + {index * size}", self.value(register)
            if name == "st":
                steps.append(f"write<{TYPES[kind]}>({place}, ({TYPES[kind]})({value}));")
            else:
                steps.append(f"{value} = read<{TYPES[kind]}>({place});")
        return f"{{ const u64 at = {self.address(at)}; {check} {' '.join(steps)} }}"

    def text(self):
        stage, _, suffix = self.name.partition("_")
        kind = ARGUMENTS[stage]
        if kind != "Compare":
            kind += "<float>" if suffix == "f32" else "<Half>"
        body = "\n    ".join(self.statements)
        return (f"static void run_{self.name}(const u8 *parameters) {{\n    {body}\n}}\n"
                f"}}\nstatic_assert(sizeof({kind}) == {self.size});\n"
                f"static void {self.name}(const {kind} args) {{\n"
                f"    machine_code::run_{self.name}((const u8 *)&args);\n}}\n"
                "namespace machine_code {\n")


def main():
    source, output = map(pathlib.Path, sys.argv[1:])
    entry = re.compile(
        r"\.visible \.entry (\w+)\(\s*\.param \.align 8 \.b8 (\w+)\[(\d+)\]\s*\)\s*"
        r"(?:\.maxntid [^\n]*\s*)?(?:\.minnctapersm [^\n]*\s*)?\{(.*?)\n\}", re.S)
    ptx = source.read_text()
    site, texts = 0, [PRELUDE]
    for match in entry.finditer(ptx):
        kernel = Kernel(match[1], match[2], int(match[3]), match[4], site)
        site = kernel.site
        texts.append(kernel.text())
    found = len(texts) - 1
    if found != ptx.count(".visible .entry"):
        sys.exit(f"machine_code: only {found} kernels were understood")
    output.write_text("\n".join(texts) + "}\n")


if __name__ == "__main__":
    main()
