"""Tables in a page: a block between two comments that a script makes anew.

    <!-- NAME: begin, made by SCRIPT -->
    ...
    <!-- NAME: end -->
"""
import datetime
import os
import re
import subprocess


def table(titles, rows):
    """The first column to the left, numbers to the right."""
    lines = ["| " + " | ".join(titles) + " |", "|---" + "|---:" * (len(titles) - 1) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def put_block(path, name, lines):
    with open(path) as page:
        text = page.read()
    begin = re.search(rf"<!-- {name}: begin[^>]*-->\n", text)
    end = text.find(f"<!-- {name}: end -->")
    if begin is None or end < begin.end():
        raise SystemExit(f"{path} has no block {name}")
    with open(path, "w") as page:
        page.write(text[:begin.end()] + "\n" + "\n".join(lines) + "\n\n" + text[end:])


def version(source):
    """The commit that is measured; empty where there is no repository."""
    out = subprocess.run(["git", "-C", source, "describe", "--always", "--dirty"], capture_output=True,
                         text=True, check=False).stdout.strip()
    return f", commit {out}" if out else ""


def machine(source):
    """One line that says where and when; no name of a host."""
    with open("/proc/cpuinfo") as cpuinfo:
        model = re.search(r"model name\s*:\s*(.*)", cpuinfo.read())
    return (f"{datetime.date.today()}{version(source)}: {os.cpu_count()} CPUs"
            f" ({model[1].strip() if model else 'unknown'}), Linux {os.uname().release.split('-')[0]}.")
