"""What a kernel needs, read from ptxas's words and the cubin, and the table of it with the theoretical occupancy."""

import re
import struct

INFO = re.compile(r"^(ptxas info\b(?!.*Potential Performance Loss).*|ptxas \s*\..*|\s+\d+ bytes stack frame.*|Remark: The warnings can be suppressed.*)$")

# The limits of one SM (CUDA C Programming Guide, "Technical Specifications per Compute Capability"): warps, blocks, shared
# memory in KB, of which each block takes 1 KB for the system, and the granularity of shared memory. 64 K registers each.
SM = {
    "75": (32, 16, 64, 0, 256), "80": (64, 32, 164, 1, 128), "86": (48, 16, 100, 1, 128), "89": (48, 24, 100, 1, 128),
    "90": (64, 32, 228, 1, 128), "100": (64, 32, 228, 1, 128), "120": (48, 24, 100, 1, 128),
}


def read(log, cubin):
    """{kernel: {registers, spill_stores, spill_loads, stack, shared, threads}} from ptxas -v."""
    kernels, k = {}, None
    for line in log.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            k = kernels[m[1]] = dict(registers=0, spill_stores=0, spill_loads=0, stack=0, shared=0, threads=0)
        elif k and (m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)):
            # After the kernel come the functions that it calls, if some were not inlined.
            k["stack"] = max(k["stack"], int(m[1]))
            k["spill_stores"] += int(m[2])
            k["spill_loads"] += int(m[3])
        elif k and (m := re.search(r"Used (\d+) registers", line)):
            k["registers"] = int(m[1])
            for field, words in [("shared", "smem"), ("stack", "cumulative stack size")]:
                if m := re.search(rf"(\d+) bytes {words}", line):
                    k[field] = int(m[1])
    for name, threads in launch_bounds(cubin).items():
        if name in kernels:
            kernels[name]["threads"] = threads
    return kernels


def launch_bounds(cubin):
    """{kernel: threads of its __launch_bounds__}, from the attribute MAX_THREADS of the cubin's .nv.info sections."""
    found = {}
    if cubin[:4] != b"\x7fELF":
        return found
    table, = struct.unpack_from("<Q", cubin, 40)
    size, count, names = struct.unpack_from("<HHH", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQ", cubin, table + i * size) for i in range(count)]
    strings = sections[names][4]
    for name, _, _, _, at, length in sections:
        label = cubin[strings + name:cubin.index(b"\0", strings + name)].decode()
        if not label.startswith(".nv.info."):
            continue
        end = at + length
        while at + 4 <= end:
            form, attribute, value = struct.unpack_from("<BBH", cubin, at)
            at += 4
            if form == 4:  # a value of so many bytes; the other forms hold theirs in these four bytes
                if attribute == 5:
                    x, y, z = struct.unpack_from("<III", cubin, at)
                    found[label[len(".nv.info."):]] = x * y * z
                at += value
    return found


def strip(log):
    """The log without ptxas's information: warnings only."""
    return "\n".join(line for line in log.splitlines() if not INFO.match(line))


def occupancy(arch, k, dynamic):
    """Blocks and warps that fit on one SM at once."""
    warps, blocks, shared, reserved, unit = SM[re.search(r"\d+", arch).group()]
    own = -(-(k["threads"] or 256) // 32)
    if k["registers"]:
        a_warp = -(-k["registers"] * 32 // 256) * 256  # registers are given out to warps, 256 at a time, from four files
        blocks = min(blocks, 4 * (16384 // a_warp) // own)
    need = -(-(k["shared"] + dynamic) // unit) * unit + reserved * 1024
    if need:
        blocks = min(blocks, shared * 1024 // need)
    blocks = min(blocks, warps // own)
    return blocks, blocks * own, warps


def table(states, shown):
    """Prints a line for each kernel. Returns 1 if a hot one spills."""
    print(f"{'file':<14} {'kernel':<28} {'arch':<7} {'threads':>7} {'regs':>5} {'spill st/ld':>12} {'stack':>6} {'shared':>7} {'dynamic':>8} {'blocks/SM':>9} {'warps/SM':>9}  occupancy")
    bad, count = [], 0
    for (source, arch), state in sorted(states.items(), key=lambda s: (s[0][0].name, s[0][1])):
        for name, k in sorted(state["kernels"].items()):
            count += 1
            hot, dynamic = name in source.hot, source.hot.get(name, 0)
            spill = f"{k['spill_stores']}/{k['spill_loads']}"
            line = f"{source.name:<14} {name + (' *' if hot else ''):<28} {arch:<7} {k['threads'] or '-':>7} {k['registers']:>5} {spill:>12} {k['stack']:>6} {k['shared']:>7} {dynamic or '-':>8} "
            if arch.startswith("sm_"):
                blocks, warps, most = occupancy(arch, k, dynamic)
                line += f"{blocks:>9} {warps:>6}/{most:<2}  {100 * warps // most:>3} %"
            print(line)
            if hot and k["spill_stores"] + k["spill_loads"]:
                bad.append(f"{shown(source.path)}: hot kernel {name} spills on {arch}: {spill} bytes")
    for source in sorted({s for s, _ in states}, key=lambda s: s.name):
        there = {k for (s, _), state in states.items() if s is source for k in state["kernels"]}
        bad += [f"{shown(source.path)}: '// hot' names {name}, which is no kernel of it" for name in sorted(set(source.hot) - there)]
    print(f"{count} kernels; * hot; bytes; dynamic shared memory as the source says it ('// hot shared=N')")
    for b in bad:
        print(b)
    return 1 if bad else 0
