"""Cases for two processors to be compared by: some instructions, all registers, what is defined after.

Every choice is made by the seed. What is left out, and why, stands where it would be generated; most
of it is what QEMU's software CPU does not do as the manuals say: it checks neither segment limits nor
the rights of a segment that is loaded, and knows no alignment faults.
"""

import random
import struct

ARENA = 0x20000
EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
CF, PF, AF, ZF, SF, TF, IF, DF, OF, NT, VM = (
    1, 4, 0x10, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0x4000, 0x20000)
ARITHMETIC = CF | PF | AF | ZF | SF | OF
LAYOUT = struct.Struct("<I8III6HI20sI44s")
EDGES = [0, 1, 2, 7, 8, 15, 16, 31, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
         0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
SELECTORS = list(range(0x28, 0x160, 8)) + [0, 0x04, 0x0C, 0x14, 0x1C, 0x24, 0x400]

# Name: real, bits of code, ring, code, stack, data, flags.
MODES = {
    "real": (True, 16, 0, 0x2000, 0x2000, 0x2000, 0),
    "v86": (False, 16, 3, 0x2000, 0x2000, 0x2000, VM),
    "16-bit ring 0": (False, 16, 0, 0x40, 0x50, 0x50, 0),
    "16-bit ring 3": (False, 16, 3, 0x63, 0x73, 0x73, 0),
    "32-bit ring 0": (False, 32, 0, 0x38, 0x48, 0x48, 0),
    "32-bit ring 3": (False, 32, 3, 0x5B, 0x6B, 0x6B, 0),
}


class Case:
    """One case, and what about its outcome is not defined."""

    def __init__(self, mode, rng):
        self.mode, self.rng = mode, rng
        self.real, self.bits, self.ring, self.cs, self.ss, data, self.flags = MODES[mode]
        self.ds = self.es = self.fs = self.gs = data
        self.v86 = self.flags & VM != 0
        self.protected = not self.real and not self.v86
        self.registers = [value(rng) for _ in range(8)]
        self.registers[ESP] = 0x8000 + 4 * rng.randrange(0x200)
        self.flags |= 2 | rng.getrandbits(12) & (ARITHMETIC | DF | IF)
        if self.v86 or self.protected:
            self.flags |= rng.choice([0, 0x3000, 0x3000])
        self.eip = 0x1000 + rng.randrange(64)
        self.code = b""
        self.what = ""
        self.data_at, self.data = ARENA + 0xF800, b""
        self.undefined = 0
        self.free = set()
        self.ignored = {}

    def packed(self):
        code_at = (self.cs * 16 if self.real or self.v86 else ARENA) + self.eip
        return LAYOUT.pack(
            self.real, *self.registers, self.eip, self.flags, self.cs, self.ss, self.ds, self.es,
            self.fs, self.gs, code_at, self.code.ljust(20, b"\xCC"), self.data_at,
            self.data.ljust(44, b"\0"))

    def keep(self, *numbers):
        self.free -= set(numbers)

    def data_in(self, place, data):
        self.data_at, self.data = ARENA + place, data

    def __str__(self):
        names = "eax ecx edx ebx esp ebp esi edi".split()
        registers = " ".join(f"{n}={v:x}" for n, v in zip(names, self.registers))
        return (f"{self.mode}, {self.what}: {self.code.hex(' ')} at {self.cs:x}:{self.eip:x}, {registers} "
                f"flags={self.flags:x} ss={self.ss:x} ds={self.ds:x} es={self.es:x} fs={self.fs:x} "
                f"gs={self.gs:x}, {self.data.hex(' ')} at {self.data_at:x}")


def value(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(EDGES)
    if kind == 1:
        return rng.getrandbits(8)
    return rng.getrandbits(32)


def word(number):
    return struct.pack("<H", number & 0xFFFF)


def dword(number):
    return struct.pack("<I", number & 0xFFFFFFFF)


def sized(number, bits):
    return struct.pack("<Q", number & (1 << bits) - 1)[:bits // 8]


# ---- Operands ----


def prefixes(case, sizes=True, addresses=True, segments=True, writes=True):
    """Some prefixes; the operand size and the address size that they make, in bits."""
    rng, code = case.rng, b""
    operand = address = case.bits
    if sizes and rng.random() < 0.35:
        code, operand = code + b"\x66", 48 - case.bits
    if addresses and rng.random() < 0.25:
        code, address = code + b"\x67", 48 - case.bits
    if segments and rng.random() < 0.2:
        # Code segments may not be written to, which the other side does not check.
        choices = b"\x26\x36\x3e\x64\x65" if writes and case.protected else b"\x26\x2e\x36\x3e\x64\x65"
        code += bytes([rng.choice(choices)])
    parts = [code[i:i + 1] for i in range(len(code))]
    rng.shuffle(parts)
    return b"".join(parts), operand, address


def place(case, size):
    """An offset in the arena: plain memory, or near pages that fault."""
    if not case.real and case.rng.random() < 0.08:
        return case.rng.choice([0xC000, 0xD000, 0xE000, 0xF000]) + case.rng.randrange(-8, 8)
    return case.rng.randrange(0x5000, 0xBF00)


def memory(case, reg, address, size=4, at=None, fixed=()):
    """ModRM and what follows for memory at an offset, which registers are changed to fit."""
    rng, r = case.rng, case.registers
    target = place(case, size) if at is None else at
    if address == 16:
        bases = [(EBX, ESI), (EBX, EDI), (EBP, ESI), (EBP, EDI), (ESI,), (EDI,), (EBP,), (EBX,)]
        rm, mod = rng.randrange(8), rng.randrange(3)
        if set(bases[rm]) & set(fixed):
            rm, mod = 6, 0
        if mod == 0 and rm == 6:
            return bytes([reg << 3 | 6]) + word(target)
        total = sum(r[b] for b in bases[rm])
        if mod == 2:
            return bytes([0x80 | reg << 3 | rm]) + word(target - total)
        displacement = rng.randrange(-128, 128) if mod == 1 else 0
        adjusted = bases[rm][0]
        low = (r[adjusted] + target - displacement - total) & 0xFFFF
        r[adjusted] = r[adjusted] & 0xFFFF0000 | low
        return bytes([mod << 6 | reg << 3 | rm]) + sized(displacement, 8)[:mod]
    base = rng.choice([b for b in (EBX, EBP, ESI, EDI) if b not in fixed] or [None])
    if base is None or rng.random() < 0.15:
        # The upper half of ESP is what it was in ring 0 where a return went to a 16-bit stack.
        if rng.random() < 0.3 and case.ss == case.ds and case.bits == 32:
            return bytes([0x84 | reg << 3, 0x24]) + dword(target - r[ESP])
        return bytes([reg << 3 | 5]) + dword(target)
    mod = rng.randrange(1, 3) if base == EBP else rng.randrange(3)
    displacement = [0, rng.randrange(-128, 128), rng.randrange(-1 << 31, 1 << 31)][mod]
    tail = [b"", sized(displacement, 8), sized(displacement, 32)][mod]
    index = rng.choice([None, EAX, ECX, EDX, EBX, EBP, ESI, EDI])
    if index is None or index == base:
        r[base] = (target - displacement) & 0xFFFFFFFF
        return bytes([mod << 6 | reg << 3 | base]) + tail
    scale = rng.randrange(4)
    r[base] = (target - displacement - (r[index] << scale)) & 0xFFFFFFFF
    return bytes([mod << 6 | reg << 3 | 4, scale << 6 | index << 3 | base]) + tail


def operand(case, reg, address, size=4, memory_only=False, byte=False, fixed=()):
    """A register or memory as the ModRM operand. The stack pointer stays as it is."""
    if memory_only or case.rng.random() < 0.5:
        return memory(case, reg, address, size, fixed=fixed)
    choices = range(8) if byte else [0, 1, 2, 3, 5, 6, 7]
    return bytes([0xC0 | reg << 3 | case.rng.choice(choices)])


def any_register(case, byte=False):
    return case.rng.choice(range(8) if byte else [0, 1, 2, 3, 5, 6, 7])


# ---- Instructions by kind ----


def arithmetic(case):
    rng = case.rng
    operation = rng.randrange(8)
    case.what = "add or adc and sbb and sub xor cmp".split()[operation]
    case.undefined = AF if operation in (1, 4, 6) else 0
    prefix, size, address = prefixes(case)
    form = rng.randrange(8)
    if form < 4:
        byte = form % 2 == 0
        case.code = prefix + bytes([operation << 3 | form]) + operand(
            case, any_register(case, byte), address, byte=byte)
    elif form == 4:
        case.code = prefix + bytes([operation << 3 | 4, rng.getrandbits(8)])
    elif form == 5:
        case.code = prefix + bytes([operation << 3 | 5]) + sized(value(rng), size)
    elif form == 6:
        case.code = (prefix + bytes([rng.choice([0x80, 0x82])])
                     + operand(case, operation, address, byte=True) + sized(value(rng), 8))
    else:
        short = rng.random() < 0.5
        case.code = (prefix + (b"\x83" if short else b"\x81") + operand(case, operation, address)
                     + sized(value(rng), 8 if short else size))


def moves(case):
    rng = case.rng
    prefix, size, address = prefixes(case)
    form = rng.randrange(14)
    case.what = "move"
    if form < 6:
        opcode = [0x88, 0x89, 0x8A, 0x8B, 0x86, 0x87][form]
        byte = opcode & 1 == 0
        case.code = prefix + bytes([opcode]) + operand(case, any_register(case, byte), address, byte=byte)
    elif form == 6:
        case.code = prefix + b"\x8d" + operand(case, any_register(case), address, memory_only=True)
    elif form == 7:
        opcode = rng.choice([0xB6, 0xB7, 0xBE, 0xBF])
        case.code = prefix + bytes([0x0F, opcode]) + operand(
            case, any_register(case), address, byte=opcode & 1 == 0)
    elif form == 8:
        opcode = rng.choice([0xA0, 0xA1, 0xA2, 0xA3])
        case.code = prefix + bytes([opcode]) + sized(place(case, 4), address)
    elif form == 9:
        case.code = prefix + bytes([0xB0 + rng.randrange(8), rng.getrandbits(8)])
    elif form == 10:
        case.code = prefix + bytes([0xB8 + any_register(case)]) + sized(value(rng), size)
    elif form == 11:
        case.code = prefix + b"\xc6" + operand(case, 0, address, byte=True) + b"\x5a"
    elif form == 12:
        case.code = prefix + b"\xc7" + operand(case, 0, address) + sized(value(rng), size)
    else:
        case.code = prefix + bytes([0x90 + any_register(case)])


def unary(case):
    rng = case.rng
    prefix, _, address = prefixes(case)
    byte = rng.random() < 0.4
    form = rng.randrange(6)
    if form == 0:
        case.what = "inc dec in one byte"
        case.code = prefix + bytes([0x40 + rng.choice([0, 8]) + any_register(case)])
    elif form == 1:
        case.what = "inc dec"
        case.code = prefix + bytes([0xFE | (not byte)]) + operand(case, rng.randrange(2), address, byte=byte)
    elif form == 2:
        case.what, case.undefined = "test", AF
        case.code = prefix + bytes([0x84 | (not byte)]) + operand(
            case, any_register(case, byte), address, byte=byte)
    else:
        case.what = "not neg"
        case.code = prefix + bytes([0xF6 | (not byte)]) + operand(case, rng.choice([2, 3]), address, byte=byte)


def multiplication(case):
    rng = case.rng
    prefix, size, address = prefixes(case)
    case.undefined = SF | ZF | AF | PF
    form = rng.randrange(6)
    case.what = "multiplication"
    if form < 3:
        byte = form == 0
        case.code = prefix + bytes([0xF6 | (not byte)]) + operand(case, rng.choice([4, 5]), address, byte=byte)
    elif form == 3:
        case.code = prefix + b"\x0f\xaf" + operand(case, any_register(case), address)
    elif form == 4:
        case.code = prefix + b"\x69" + operand(case, any_register(case), address) + sized(value(rng), size)
    else:
        case.code = prefix + b"\x6b" + operand(case, any_register(case), address) + sized(value(rng), 8)


def division(case):
    rng = case.rng
    prefix, size, address = prefixes(case, segments=False)
    case.undefined = ARITHMETIC
    byte = rng.random() < 0.4
    case.what = "division"
    if byte:
        case.registers[EAX] = case.registers[EAX] & 0xFFFF0000 | rng.choice(
            [rng.getrandbits(16), rng.getrandbits(8), 0x8000, 0x7FFF, 0xFF80, 0xFF7F])
    elif rng.random() < 0.7:
        case.registers[EDX] = rng.choice([0, 1, 0xFFFFFFFF, 0xFFFF, 0x7FFF, rng.getrandbits(8)])
    case.code = prefix + bytes([0xF6 | (not byte)]) + operand(
        case, rng.choice([6, 7]), address, byte=byte, fixed=(EAX, EDX))


def shifts(case):
    rng = case.rng
    prefix, size, address = prefixes(case)
    operation = rng.randrange(8)
    case.what = "rol ror rcl rcr shl shr sal sar".split()[operation]
    byte = rng.random() < 0.35
    width = 8 if byte else size
    form = rng.randrange(3)
    count = rng.choice([0, 1, rng.randrange(40), rng.getrandbits(8), width, width + 1, 31, 32])
    modrm = operand(case, operation, address, byte=byte, fixed=(ECX,))
    if form == 0:
        case.code, count = prefix + bytes([0xC0 | (not byte)]) + modrm + bytes([count]), count
    elif form == 1:
        case.code, count = prefix + bytes([0xD0 | (not byte)]) + modrm, 1
    else:
        case.code = prefix + bytes([0xD2 | (not byte)]) + modrm
        count = case.registers[ECX] & 0xFF
    count &= 31
    if count:
        case.undefined = AF if operation > 3 else 0
        if operation > 3 and operation != 7 and count >= width:
            # Past the operand's width CF is undefined.
            case.undefined |= CF
    if count != 1 and count:
        case.undefined |= OF


def double_shifts(case):
    rng = case.rng
    prefix, size, address = prefixes(case)
    immediate = rng.random() < 0.5
    count = rng.choice([0, 1, size - 1, rng.randrange(size)])
    modrm = operand(case, any_register(case), address, fixed=(ECX,))
    # Counts past the operand's width have undefined results.
    case.registers[ECX] = case.registers[ECX] & ~0xFF | count | rng.choice([0, 0x20, 0xE0])
    opcode = rng.choice([0xA4, 0xAC]) + (not immediate)
    case.code = prefix + bytes([0x0F, opcode]) + modrm + bytes([count])[:immediate]
    case.undefined = (AF | (OF if count != 1 else 0)) if count else 0
    case.what = "shld shrd"


def bits(case):
    rng = case.rng
    prefix, size, address = prefixes(case)
    form = rng.randrange(6)
    case.undefined = OF | SF | AF | PF
    case.what = "bits"
    if form == 0:
        case.code = prefix + b"\x0f\xba" + operand(case, rng.randrange(4, 8), address) + bytes(
            [rng.getrandbits(8)])
    elif form <= 2:
        opcode = rng.choice([0xA3, 0xAB, 0xB3, 0xBB])
        reg = rng.choice([EAX, ECX, EDX])
        if rng.random() < 0.5:
            case.code = prefix + bytes([0x0F, opcode, 0xC0 | reg << 3 | any_register(case)])
        else:
            at = rng.randrange(0x6000, 0xB000)
            case.registers[reg] = rng.randrange(-2000, 2000) & (1 << size) - 1
            if size == 16:
                case.registers[reg] |= rng.getrandbits(16) << 16
            case.code = prefix + bytes([0x0F, opcode]) + memory(case, reg, address, at=at, fixed=(reg,))
    elif form <= 4:
        case.undefined |= CF
        reg = any_register(case)
        opcode = rng.choice([0xBC, 0xBD])
        # Without a bit set the target is undefined: one in the low half is always set.
        rm = any_register(case)
        case.registers[rm] |= 1 << rng.randrange(16)
        case.code = prefix + bytes([0x0F, opcode, 0xC0 | reg << 3 | rm])
    else:
        case.undefined = 0
        # BSWAP with a 16-bit operand is undefined.
        prefix = b"" if case.bits == 32 else b"\x66"
        case.code = prefix + bytes([0x0F, 0xC8 + any_register(case)])


def exchange(case):
    rng = case.rng
    prefix, size, address = prefixes(case)
    byte = rng.random() < 0.4
    form = rng.randrange(3)
    lock = rng.random() < 0.3
    case.what = "xadd cmpxchg"
    if form == 2:
        modrm = memory(case, 1, address, 8, at=rng.randrange(0x5000, 0xB000), fixed=(EBX,))
        case.code = (b"\xf0" if lock else b"") + prefix + b"\x0f\xc7" + modrm
        return
    opcode = [0xC0, 0xB0][form] | (not byte)
    case.code = (b"\xf0" if lock else b"") + prefix + bytes([0x0F, opcode]) + operand(
        case, any_register(case, byte), address, byte=byte, memory_only=lock, fixed=(EAX,))


def distance(rng, least, most):
    """How far a jump goes: not back into or before itself but by far, for nothing may loop."""
    number = rng.randrange(least, most)
    return number - 24 if -24 < number < 0 and least < -128 else abs(number) if -24 < number < 0 else number


def conditions(case):
    rng = case.rng
    condition = rng.randrange(16)
    form = rng.randrange(5)
    case.what = "conditions"
    if form == 0:
        prefix, _, address = prefixes(case)
        case.code = prefix + bytes([0x0F, 0x90 | condition]) + operand(case, 0, address, byte=True)
    elif form == 1:
        prefix, _, address = prefixes(case)
        case.code = prefix + bytes([0x0F, 0x40 | condition]) + operand(case, any_register(case), address)
    elif form == 2:
        case.code = bytes([0x70 | condition]) + sized(distance(rng, -128, 128), 8)
    elif form == 3:
        prefix, size, _ = prefixes(case, addresses=False, segments=False)
        case.code = prefix + bytes([0x0F, 0x80 | condition]) + sized(distance(rng, -0x800, 0x1000), size)
    else:
        prefix, _, _ = prefixes(case, sizes=False, segments=False)
        case.registers[ECX] = rng.choice([0, 1, 2, 0x10000, 0x10001, value(rng)])
        case.code = prefix + bytes([rng.choice([0xE0, 0xE1, 0xE2, 0xE3])]) + sized(
            distance(rng, -128, 128), 8)


def decimal(case):
    rng = case.rng
    opcode = rng.choice([0x27, 0x2F, 0x37, 0x3F, 0xD4, 0xD5])
    case.what = "decimal"
    case.undefined = {0x27: OF, 0x2F: OF, 0x37: OF | SF | ZF | PF, 0x3F: OF | SF | ZF | PF,
                      0xD4: OF | AF | CF, 0xD5: OF | AF | CF}[opcode]
    case.code = bytes([opcode])
    if opcode >= 0xD4:
        number = rng.choice([10, 10, 0, 1, 16, rng.getrandbits(8)])
        case.code += bytes([number])
        if opcode == 0xD4 and number == 0:
            case.undefined = ARITHMETIC
    elif rng.random() < 0.5:
        case.registers[EAX] = case.registers[EAX] & ~0xFF | rng.choice(
            [0x09, 0x0A, 0x0F, 0x90, 0x99, 0x9A, 0x9F, 0xA0, 0xF9, 0xFA, 0xFF, 0x05, 0x06])


def small(case):
    rng = case.rng
    case.what = "one byte"
    prefix = b"\x66" if rng.random() < 0.5 else b""
    opcode = rng.choice([0x98, 0x99, 0x9E, 0x9F, 0xF5, 0xF8, 0xF9, 0xFC, 0xFD, 0xD6, 0xD7, 0x90])
    if opcode == 0xD7:
        prefix, _, address = prefixes(case, sizes=False)
        target = rng.randrange(0x5000, 0xB000)
        low = case.registers[EAX] & 0xFF
        high = case.registers[EBX] & 0xFFFF0000 if address == 16 else 0
        case.registers[EBX] = target - low | high
    case.code = prefix + bytes([opcode])


def strings(case):
    rng, r = case.rng, case.registers
    opcode = rng.choice([0xA4, 0xA5, 0xA6, 0xA7, 0xAA, 0xAB, 0xAC, 0xAD, 0xAE, 0xAF])
    case.what = "string"
    prefix, size, address = prefixes(case, writes=False)
    step = size // 8 if opcode & 1 else 1
    repeat = rng.choice([b"", b"\xf2", b"\xf3"])
    count = rng.choice([0, 1, 2, rng.randrange(40), rng.randrange(300)])
    r[ECX] = count | (rng.getrandbits(16) << 16 if address == 16 else 0)
    for register in (ESI, EDI):
        at = rng.randrange(0x5000, 0xB000)
        if rng.random() < 0.2:
            # Aligned, so that no access lies on both sides of the end.
            at = rng.choice([0, 0xFF80, 0xFFFC, 0x10, 0xC020, 0xBFF0, 0xF020]) & -4
            if address == 32 and at in (0, 0x10, 0xFF80, 0xFFFC):
                at = 0x9000
            if case.real and at >= 0xBF00 and address == 32:
                at = 0x9000
        r[register] = at | (rng.getrandbits(16) << 16 if address == 16 else 0)
    if opcode in (0xA6, 0xA7, 0xAE, 0xAF) and rng.random() < 0.5:
        r[EAX], r[ESI], r[EDI] = 0xCCCCCCCC, r[ESI] & 0xFFFF0000 | 0x3F00, r[EDI] & 0xFFFF0000 | 0x3F40
    case.code = repeat + prefix + bytes([opcode])


def stack(case):
    rng, r = case.rng, case.registers
    prefix, size, address = prefixes(case)
    form = rng.randrange(12)
    case.what = "stack"
    wide = case.bits == 32
    if rng.random() < 0.15 and case.ring == 3 and not wide:
        # A 16-bit stack that wraps.
        r[ESP] = rng.choice([0, 2, 4, 0xFFFC, 0xFFFE, 0x10]) & (0xFFFC if size == 32 else 0xFFFE)
    elif rng.random() < 0.3 and not wide and not case.real and case.ring == 3:
        r[ESP] |= rng.getrandbits(16) << 16
    if form == 0:
        case.code = prefix + bytes([0x50 + rng.randrange(8)])
    elif form == 1:
        case.code = prefix + bytes([0x58 + any_register(case)])
    elif form == 2:
        case.code = prefix + b"\x60"
        r[ESP] = 0x8000
    elif form == 3:
        case.code = prefix + b"\x61"
        r[ESP] = 0x8000
    elif form == 4:
        case.code = prefix + b"\x68" + sized(value(rng), size)
    elif form == 5:
        case.code = prefix + bytes([0x6A, rng.getrandbits(8)])
    elif form == 6:
        case.code = prefix + b"\xff" + operand(case, 6, address)
    elif form == 7:
        case.code = prefix + b"\x8f" + operand(case, 0, address, memory_only=rng.random() < 0.7)
    elif form == 8:
        r[ESP], r[EBP] = 0x8800, rng.randrange(0x9000, 0x9800) & ~3
        case.code = prefix + b"\xc8" + word(rng.choice([0, 4, 16, 256])) + bytes(
            [rng.choice([0, 1, 2, 3, 31, 32, 33])])
        if size == 32 and case.bits == 16:
            # SP or ESP: the manuals do not agree on the frame's upper half.
            case.ignored.update(ebp=0xFFFF, memory=0)
    elif form == 9:
        r[EBP] = (0x8900 + 4 * rng.randrange(64)) | (0 if wide or rng.random() < .5 else 0x70000)
        case.code = prefix + b"\xc9"
    elif form == 10:
        case.code = prefix + b"\x9c"
    else:
        images = [rng.getrandbits(32) & 0x3F7FD7 & ~TF]
        case.data_in(r[ESP] & 0xFFFF, dword(images[0]))
        case.code = prefix + b"\x9d"
        # The other side lets POPF change nothing of VIF and VIP, as it should; AC and ID it does.
        case.what = "popf"
        if case.v86 and case.flags & 0x3000 == 0:
            case.data = b""


def near(case):
    rng, r = case.rng, case.registers
    prefix, size, address = prefixes(case, segments=False)
    form = rng.randrange(7)
    case.what = "near transfer"
    target = rng.randrange(0x100, 0x3F00)
    if form == 0:
        case.code = prefix + b"\xe9" + sized(distance(rng, -0x800, 0x2000), size)
    elif form == 1:
        case.code = prefix + b"\xeb" + sized(distance(rng, -128, 128), 8)
    elif form == 2:
        case.code = prefix + b"\xe8" + sized(distance(rng, -0x800, 0x2000), size)
    elif form == 3:
        at = rng.randrange(0x5000, 0xB000)
        case.data_in(at, dword(target))
        case.code = prefix + b"\xff" + memory(case, rng.choice([2, 4]), address, at=at)
    elif form == 4:
        register = rng.choice([0, 1, 2, 3, 5, 6, 7])
        r[register] = target
        case.code = prefix + bytes([0xFF, 0xC0 | rng.choice([2, 4]) << 3 | register])
    else:
        case.data_in(r[ESP], dword(target))
        if form == 5:
            case.code = prefix + b"\xc3"
        else:
            case.code = prefix + b"\xc2" + word(rng.choice([0, 2, 4, 8, 256]))


def selector(case):
    number = case.rng.choice(SELECTORS)
    return number & ~3 | case.rng.choice([case.ring, case.ring, number & 3, 0, 1, 2, 3]) \
        if number & 4 == 0 else number | case.ring


def far_target(case):
    """Selector and offset; code everywhere below 4000h of the arena."""
    offset = case.rng.randrange(0x100, 0x3F00)
    if case.protected:
        chosen = selector(case)
        # The other side compares no return with the segment's limit, and a call only after the pushes;
        # it ends a call to conforming code in the code's ring, and has #GP for a jump through a gate to
        # code that is not present.
        while chosen & ~3 in (0x130, 0x100, 0x150):
            chosen = selector(case)
        return chosen, offset
    paragraphs = case.rng.randrange(16)
    return 0x2000 + paragraphs, offset - 16 * paragraphs + 0x100


def upper_halves(case, chosen):
    """A 16-bit task leaves the upper halves of registers undefined."""
    if case.protected and chosen & ~3 == 0xE0:
        case.ignored.update(dict.fromkeys("eax ecx edx ebx esp ebp esi edi".split(), 0xFFFF))


def far(case):
    rng, r = case.rng, case.registers
    prefix, size, address = prefixes(case, segments=False)
    form = rng.randrange(5)
    chosen, offset = far_target(case)
    case.what = f"far transfer to {chosen:x}"
    pointer = sized(offset, size) + word(chosen)
    if form < 2:
        case.code = prefix + bytes([[0xEA, 0x9A][form]]) + pointer
        upper_halves(case, chosen)
    elif form == 2:
        at = rng.randrange(0x5000, 0xB000)
        case.data_in(at, pointer)
        case.code = prefix + b"\xff" + memory(case, rng.choice([3, 5]), address, at=at)
        upper_halves(case, chosen)
    else:
        extra = rng.choice([0, 0, 4, 8])
        pad = b"\0" * extra
        frame = sized(offset, size) + sized(chosen, size) + (pad if form == 4 else b"")
        if case.protected:
            frame += sized(0x9000 + 4 * rng.randrange(64), size)
            frame += sized(rng.choice([0x6B, 0x73, 0x113, selector(case)]), size)
        case.data_in(r[ESP], frame)
        case.code = prefix + (b"\xcb" if form == 3 else b"\xca" + word(extra))


def interrupt_return(case):
    rng, r = case.rng, case.registers
    prefix, size, _ = prefixes(case, addresses=False, segments=False)
    chosen, offset = far_target(case)
    case.what = f"iret to {chosen:x}"
    image = rng.getrandbits(32) & 0x247FD5 & ~TF | 2
    if rng.random() < 0.8:
        image &= ~NT
    frame = sized(offset, size) + sized(chosen, size) + sized(image, size)
    if case.protected:
        if case.ring == 0 and size == 32 and rng.random() < 0.3:
            image |= VM
            offset &= 0x3FFF
            frame = dword(offset) + dword(0x2000) + dword(image) + dword(0x8400) + b"".join(
                dword(0x2000 + rng.getrandbits(8)) for _ in range(5))
        else:
            frame += sized(0x9000 + 4 * rng.randrange(64), size)
            frame += sized(rng.choice([0x6B, 0x73, 0x113, selector(case)]), size)
        if case.ring == 0 and rng.random() < 0.15:
            # The running task has no task to return to: its back link is null. A task switch is by
            # CALL, which `far` does.
            case.flags |= NT
    case.data_in(r[ESP], frame)
    case.code = prefix + b"\xcf"


def segments(case):
    rng = case.rng
    prefix, size, address = prefixes(case, segments=False)
    chosen = selector(case) if case.protected else 0x2000 + rng.getrandbits(8)
    case.what = f"segment {chosen:x}"
    form = rng.randrange(5)
    number = rng.choice([0, 2, 3, 4, 5])
    if number == 2 and case.ring == 0:
        # What ends the case needs a stack.
        chosen = rng.choice([0x48, 0x50]) if case.protected else 0x2000
    at = rng.randrange(0x5000, 0xB000)
    if form == 0:
        case.registers[EAX] = case.registers[EAX] & 0xFFFF0000 | chosen
        case.code = prefix + bytes([0x8E, 0xC0 | number << 3])
    elif form == 1:
        case.data_in(at, word(chosen))
        case.code = prefix + b"\x8e" + memory(case, number, address, at=at)
    elif form == 2:
        case.code = prefix + b"\x8c" + operand(case, rng.randrange(6), address)
    elif form == 3:
        pushes = [b"\x06", b"\x0e", b"\x16", b"\x1e", b"\x0f\xa0", b"\x0f\xa8"]
        pops = [b"\x07", b"\x1f", b"\x0f\xa1", b"\x0f\xa9"]
        if rng.random() < 0.5:
            # The other side stores a doubleword, this one a word as newer processors do; the two
            # bytes above the word would differ.
            case.code = (b"\x66" if case.bits == 32 else b"") + rng.choice(pushes)
        else:
            case.data_in(case.registers[ESP], dword(chosen))
            case.code = prefix + rng.choice(pops)
    else:
        opcode = rng.choice([b"\xc4", b"\xc5", b"\x0f\xb4", b"\x0f\xb5"])
        case.data_in(at, sized(value(rng), size) + word(chosen))
        case.code = prefix + opcode + memory(case, any_register(case), address, at=at)


def queries(case):
    """LAR, LSL, VERR, VERW, ARPL, and the words that tell of the system."""
    rng = case.rng
    prefix, size, address = prefixes(case)
    form = rng.randrange(8)
    chosen = selector(case)
    at = rng.randrange(0x5000, 0xB000)
    case.what = f"query {chosen:x}"
    if form < 5:
        opcode = [b"\x0f\x02", b"\x0f\x03", b"\x0f\x00", b"\x0f\x00", b"\x63"][form]
        reg = [any_register(case), any_register(case), 4, 5, any_register(case)][form]
        if rng.random() < 0.5:
            rm = any_register(case)
            case.registers[rm] = case.registers[rm] & 0xFFFF0000 | chosen
            case.code = prefix + opcode + bytes([0xC0 | reg << 3 | rm])
        else:
            case.data_in(at, word(chosen))
            case.code = prefix + opcode + memory(case, reg, address, at=at)
        return
    case.what = "system words"
    opcode = rng.choice([(1, 4), (1, 4), (0, 0), (0, 1), (1, 0), (1, 1)])
    if opcode[0] == 1 and opcode[1] < 2:
        if case.bits == 16:
            # A 16-bit operand: the base's high byte is stored as 0 by the 80286's rule that only the
            # other side keeps.
            prefix = b"\x66"
            address = 16
        else:
            prefix, address = b"", 32
        case.code = prefix + bytes([0x0F, 1]) + memory(case, opcode[1], address, at=at)
    else:
        case.code = prefix + bytes([0x0F, opcode[0]]) + operand(case, opcode[1], address)


def privileged(case):
    """What needs ring 0 or enough IOPL. In ring 0 only what leaves the runner alone."""
    rng, r = case.rng, case.registers
    case.what = "privileged"
    choices = [b"\xfa", b"\xfb", b"\x0f\x06", b"\x0f\x09", b"\x0f\x08", b"\x0f\x20\xc0", b"\x0f\x20\xd0",
               b"\x0f\x20\xd8", b"\x0f\x21\xf0", b"\x0f\x21\xf8", b"\xe6\x80", b"\xe7\x80"]
    if case.ring == 3 and not case.real:
        choices += [b"\xf4", b"\x0f\x30", b"\x0f\x22\xc0", b"\x0f\x22\xd8", b"\x0f\x22\xe0",
                    b"\x0f\x23\xf8", b"\xe4\x70", b"\xe5\x7f", b"\xec", b"\xed", b"\xee", b"\xef",
                    b"\x6c", b"\x6d", b"\x6e", b"\x6f", b"\xf3\x6e", b"\x0f\x32", b"\x0f\x01\xf0",
                    b"\x0f\x00\xd0", b"\x0f\x00\xd8", b"\x0f\x20\xe0", b"\x0f\x20\xc8", b"\x0f\x22\xe8"]
        r[EDX] = rng.choice([0x81, 0x7F, 0x70, 0x60, r[EDX] & 0xFF00])
        r[ESI] = r[EDI] = 0x6000
        r[ECX] = r[ECX] & 7
        # Port 80h takes writes and is free in the bitmap for one byte; no other port is touched.
        if case.flags & 0x3000 and not case.v86:
            choices = [c for c in choices if c[0] not in range(0x6C, 0x70) and c[0] not in (
                0xE4, 0xE5, 0xEC, 0xED, 0xEE, 0xEF, 0xF3)]
    elif case.protected:
        form = rng.randrange(7)
        at = rng.randrange(0x5000, 0xB000)
        # LTR with a null selector is taken by the other side.
        chosen = rng.choice([number for number in SELECTORS if number])
        r[EAX] = chosen
        if form == 0:
            choices = [b"\x0f\x00\xd0"]
        elif form == 1:
            choices = [b"\x0f\x00\xd8"]
        elif form == 2:
            r[EAX] = 0x80010031 ^ rng.choice([0, 2, 4, 8, 0x20, 0x10000, 0x40000])
            choices = [b"\x0f\x22\xc0", b"\x0f\x01\xf0"]
        elif form == 3:
            case.data_in(at, b"\x27\x00" + dword(0x18000))
            case.code = b"\x0f\x01" + memory(case, 2, case.bits, at=at)
            if case.bits == 16:
                case.code = b"\x66" + case.code
            case.what = "lgdt"
            return
        elif form == 4:
            r[EAX] = 0x130000
            choices = [b"\x0f\x22\xd8"]
        case.what = f"privileged {chosen:x}"
    case.code = rng.choice(choices)


def software_interrupts(case):
    rng = case.rng
    form = rng.randrange(5)
    case.what = "interrupt"
    if form == 0:
        case.code = b"\xcc"
    elif form == 1:
        case.code = b"\xce"
    elif case.real:
        case.code = bytes([0xCD, rng.choice([0x03, 0x04, 0x20, 0x21, 0x2F])])
    else:
        # Vectors with error codes can't be told apart in ring 0: the stub expects one.
        numbers = [3, 4, 0x20, 0x22, 0x23, 0x24, 0x25, 0x80, 0xFF]
        if case.ring == 3:
            numbers += [0, 1, 8, 13, 14, 17, 0x21]
        case.code = bytes([0xCD, rng.choice(numbers)])


def bounds(case):
    rng = case.rng
    prefix, size, address = prefixes(case)
    at = rng.randrange(0x5000, 0xB000)
    reg = rng.choice([EAX, ECX, EDX])
    low, high = sorted([rng.randrange(-50, 50), rng.randrange(-50, 50)])
    case.registers[reg] = rng.randrange(-60, 60) & 0xFFFFFFFF
    case.data_in(at, sized(low, size) + sized(high, size))
    case.code = prefix + b"\x62" + memory(case, reg, address, at=at, fixed=(reg,))
    case.what = "bound"


def undefined(case):
    """Encodings that are none, and LOCK where it may not stand.

    The other side takes LOCK with MOV, PUSH, BT and one-byte instructions, POP's and MOV's group with
    other numbers, and has no INT1.
    """
    rng = case.rng
    case.what = "undefined"
    case.code = rng.choice([
        b"\x0f\x0b", b"\x0f\xff\xc0", b"\x0f\xb9\xc0", b"\xfe\xd0", b"\xfe\xf8", b"\xff\xf8", b"\xff\xd8",
        b"\xff\xe8", b"\x8d\xc0", b"\x62\xc0", b"\xc4\xc0", b"\xc5\xc0", b"\x8e\xc8", b"\x8e\xf0",
        b"\x8c\xf0", b"\xf0\x90", b"\xf0\x01\xc0", b"\xf0\x39\x06\x00\x60",
        b"\x0f\x20\xc8",
        b"\x0f\x20\xe8", b"\x0f\x22\xc8", b"\x0f\xc7\xc8", b"\x0f\x01\xd8\xcc", b"\x0f\x04", b"\x0f\x0a",
        b"\x0f\x24\xc0", b"\x0f\x26\xc0", b"\x0f\xa6", b"\x0f\xa7", b"\x0f\x00\xf0", b"\x0f\x00\xf8",
        b"\x0f\xba\xc0\x01", b"\x0f\xb2\xc0", b"\x0f\xb4\xc0",
        b"\x0f\x01\xe8", b"\x26\x2e\x36\x3e\x64\x65\x66\x67\x26\x2e\x36\x3e\x64\x65\x90",
        b"\x26\x2e\x36\x3e\x64\x65\x66\x67\x26\x2e\x36\x3e\x64\x65\x90"])


def steps(case):
    """Single steps through another kind."""
    rng = case.rng
    rng.choice([arithmetic, moves, stack, strings, conditions, near, software_interrupts, segments,
                decimal, far])(case)
    case.flags |= TF
    case.what = "step: " + case.what


KINDS = [arithmetic, moves, unary, multiplication, division, shifts, shifts, double_shifts, bits,
         exchange, conditions, decimal, small, strings, strings, stack, stack, near, far, far,
         interrupt_return, segments, queries, privileged, software_interrupts, bounds, undefined, steps]


def make(mode, seed, count, kinds=KINDS):
    """`count` cases of a mode."""
    rng = random.Random(f"{mode}/{seed}")
    cases = []
    while len(cases) < count:
        case = Case(mode, rng)
        kinds[len(cases) % len(kinds)](case)
        assert len(case.code) <= 20, case
        cases.append(case)
    return cases
