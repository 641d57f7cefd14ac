"""Files that are handed to another program while it may be reading them: replaced whole or not at all.

Rules: whoever reads sees the old file or the new one. What is written beside it has a name that no reader looks for,
and is gone when this is done, whatever came of it. Nothing is forced to disk: after a crash of the machine the next
run writes it again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

#: Everybody may read it: the reader is another user, and nothing in it is secret that /metrics would not tell.
_MODE = 0o644
#: What node_exporter exports of itself, and what other programs in Python leave beside us: where it finds a sample
#: twice, it answers no scrape at all any more ("was collected before with the same name and label values").
_OTHERS = ("go_", "node_", "process_", "promhttp_", "python_", "target_info")


def publish(path: str, data: bytes) -> None:
    """Replace the file at `path`, or make it, with mode 0644. OSError; what was there is then as it was.

    What is no file is left alone: /dev/stdout would not be written to but replaced, and so would a link.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "something else than a regular file is there")
    directory, name = os.path.split(path)
    beside = os.path.join(directory, f".{name}.{os.urandom(6).hex()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, _MODE)  # the umask of a crontab may be anything
            file.write(data)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def textfile(page: bytes) -> bytes:
    """A page in the text format 0.0.4 as node_exporter's textfile collector takes it.

    Families that it has itself are left out, and timestamps: for one sample with a timestamp it would skip the file
    ("contains unsupported client-side timestamps", collector/textfile.go).
    """
    lines = (_bare(line) for line in page.decode().split("\n") if line and not _name(line).startswith(_OTHERS))
    return "".join(f"{line}\n" for line in lines).encode()


def _name(line: str) -> str:
    """The family that `# HELP` and `# TYPE` are about, or the name of the sample."""
    if line.startswith("# "):
        return line.split(" ", 3)[2] if line.count(" ") > 1 else ""
    return line.partition("{")[0].partition(" ")[0]


def _bare(line: str) -> str:
    """A sample without its timestamp. Behind the last brace there are only numbers."""
    if line.startswith("#"):
        return line
    labels, brace, numbers = line.rpartition("}")
    words = numbers.split()
    return f"{labels}{brace} {words[0]}" if brace else " ".join(words[:2])
