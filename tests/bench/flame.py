#!/usr/bin/env python3
"""flame.py BUILD_DIR PICTURE.svg [--op put|get] [--clients N] [--seconds S] [-- FLAG ...]
   flame.py --samples FILE PICTURE.svg

Where the CPU time of a leader goes: three nodes, the leader driven by wrk and sampled by perf with its
call stacks; or samples that `perf script -F comm,ip,sym,dso` wrote before. The picture needs no script:
a frame is as wide as its share of the samples, those that it calls stand on it, and pointing at one shows
its name and share. Frames below a thousandth are left out. BUILD_DIR holds raftkvd."""
import argparse
import os
import re
import subprocess
import tempfile
from xml.sax.saxutils import escape

from cluster import Cluster, pause

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, ROW, MARGIN, TOP = 1200, 16, 10, 50
SMALLEST = 1 / 1000
CHARACTER = 6.6
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")
# Kind of code -> fill; the picture has a ground of its own, so that it is readable on any page.
KINDS = {"thread": "#c9c9c9", "kernel": "#f2b56b", "ours": "#e8847c", "sqlite": "#8fc08f",
         "microhttpd": "#8db4dd", "curl": "#b7a1d8", "libc": "#e5d36f", "other": "#dddddd"}


class Frame:
    def __init__(self, name, kind):
        self.name, self.kind, self.samples, self.above = name, kind, 0, {}

    def on_top(self, name, kind):
        if name not in self.above:
            self.above[name] = Frame(name, kind)
        return self.above[name]


def kind_of(dso):
    name = os.path.basename(dso)
    if name.startswith("[kernel") or name == "[unknown]" or name.endswith(".ko"):
        return "kernel"
    for kind, prefix in (("ours", "raftkvd"), ("sqlite", "libsqlite"), ("microhttpd", "libmicrohttpd"),
                         ("curl", "libcurl"), ("libc", "libc.so")):
        if name.startswith(prefix):
            return kind
    return "other"


def frames_of(lines):
    """A stack as (name, kind), the outermost first; frames without a name are one for each library."""
    stack = []
    for line in lines:
        match = FRAME.match(line)
        if match is None:
            continue
        name, dso = match[1], match[2]
        kind = kind_of(dso)
        if name == "[unknown]":
            name = os.path.basename(dso).split(".so")[0]
            if name == "[unknown]":
                continue
        if not stack or stack[-1][0] != name:
            stack.append((name, kind))
    return stack[::-1]


def read_samples(lines):
    """Samples are paragraphs: a line with the thread's name, then a frame a line, the innermost first."""
    root = Frame("all", "thread")
    head, stack = None, []
    for line in list(lines) + [""]:
        if line.strip() and not line[0].isspace():
            head, stack = line.split()[0], []
        elif line.strip():
            stack.append(line)
        elif head is not None:
            frame = root.on_top(head, "thread")
            root.samples += 1
            frame.samples += 1
            for name, kind in frames_of(stack):
                frame = frame.on_top(name, kind)
                frame.samples += 1
            head = None
    return root


def depth_of(frame, total):
    above = [depth_of(each, total) for each in frame.above.values() if each.samples >= total * SMALLEST]
    return 1 + max(above, default=0)


def draw(frame, left, row, rows, total, into):
    width = frame.samples / total * (WIDTH - 2 * MARGIN)
    y = TOP + (rows - 1 - row) * ROW
    share = f"{frame.samples / total * 100:.1f} %"
    room = int((width - 4) / CHARACTER)
    name = frame.name if len(frame.name) <= room else frame.name[:room - 1] + "…"
    into.append(f'<g class="{frame.kind}"><title>{escape(frame.name)}: {share}</title>'
                f'<rect x="{left:.1f}" y="{y}" width="{max(width - 0.3, 0.3):.1f}" height="{ROW - 1}"/>'
                + (f'<text x="{left + 2:.1f}" y="{y + 11}">{escape(name)}</text>' if room >= 4 else "")
                + "</g>")
    for each in sorted(frame.above.values(), key=lambda other: other.name):
        if each.samples >= total * SMALLEST:
            draw(each, left, row + 1, rows, total, into)
            left += each.samples / total * (WIDTH - 2 * MARGIN)


def legend():
    parts, left = [], MARGIN
    for kind, fill in KINDS.items():
        parts.append(f'<rect x="{left}" y="28" width="12" height="12" fill="{fill}"/>'
                     f'<text x="{left + 16}" y="38">{kind}</text>')
        left += 30 + int(len(kind) * CHARACTER)
    return parts


def picture(root, title):
    rows = depth_of(root, root.samples)
    height = TOP + rows * ROW + MARGIN
    style = "".join(f".{kind} rect{{fill:{fill}}}" for kind, fill in KINDS.items())
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
             f'height="{height}">', f"<style>text{{font:11px monospace;fill:#111}}{style}"
             ".t{font-size:14px}</style>", f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
             f'<text class="t" x="{MARGIN}" y="18">{escape(title)}, {root.samples:,} samples</text>']
    parts += legend()
    draw(root, MARGIN, 0, rows, root.samples, parts)
    return "\n".join(parts + ["</svg>", ""])


def sample(arguments):
    """A leader under load, as the lines of perf script."""
    cluster = Cluster(arguments.build, 3, arguments.flags)
    try:
        url = cluster.url(cluster.leader)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["wrk", "-t1", "-c64", "-d1s", "-s", f"{HERE}/put.lua", url], check=True, **quiet)
        load = subprocess.Popen(["wrk", "-t1", f"-c{arguments.clients}", f"-d{arguments.seconds + 2}s", "-s",
                                 f"{HERE}/{arguments.op}.lua", url], **quiet)
        pause(1)
        with tempfile.NamedTemporaryFile() as data:
            subprocess.run(["perf", "record", "-q", "-F", "499", "--call-graph", "dwarf,16384", "-o",
                            data.name, "-p", str(cluster.nodes[cluster.leader].pid), "--", "sleep",
                            str(arguments.seconds)], check=True, **quiet)
            load.wait()
            return subprocess.run(["perf", "script", "--no-inline", "-F", "comm,ip,sym,dso", "-i",
                                   data.name], check=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True).stdout.split("\n")
    finally:
        cluster.stop()


def main():
    parser = argparse.ArgumentParser(description="A flame graph of a leader under load.")
    parser.add_argument("build", nargs="?")
    parser.add_argument("picture")
    parser.add_argument("--samples")
    parser.add_argument("--op", choices=["put", "get"], default="put")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("flags", nargs="*", help="for raftkvd, behind --")
    arguments = parser.parse_args()
    if arguments.samples is not None:
        with open(arguments.samples) as samples:
            lines = samples.read().split("\n")
        title = "samples"
    else:
        lines = sample(arguments)
        title = f"{arguments.op}, {arguments.clients} clients: CPU time of the leader"
    root = read_samples(lines)
    if root.samples == 0:
        raise SystemExit("there is no sample")
    with open(arguments.picture, "w") as out:
        out.write(picture(root, title))


if __name__ == "__main__":
    main()
