"""What holds of a run's folder at every moment, whatever happened to the run: no committed file is ever lost or
changed, none is half-written, nothing is in two units, nothing is of another run. Each check returns a line for
everything that is wrong, and [] where nothing is. It reads the files with h5py and hashlib alone."""

import functools
import hashlib
import re
from pathlib import Path

import h5py

import compare_runs
from tiny import METHODS

ITEMS, MERGED = {method.items for method in METHODS}, {method.merged for method in METHODS}
SEAL = re.compile(rb"\nsha256 ([0-9a-f]{64})\n\Z")
LEFTOVER = re.compile(r"\..*\.tmp")  # what a killed process leaves; the next one removes it


def sealed_files(run):
    """The file of items and every unit of every series, in the order of their paths."""
    return sorted(path for path in [*(run / name for name in ITEMS), *(run / "units").rglob("*.h5")] if path.is_file())


# --- between two snapshots ---


def committed(run):
    """A snapshot of the folder: path in the run -> SHA-256 of every committed file. These files must stay as they
    are."""
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sealed_files(run)}


def lost(before, after):
    """Files of an earlier snapshot that are missing or changed in a later one."""
    return [f"{name}: {'changed' if name in after else 'lost'} since it was committed"
            for name, digest in before.items() if after.get(name) != digest]


# --- one snapshot ---


def half_written(run, finished=False):
    """Files that are not whole and, if the run ended by itself, temporary files that it left."""
    wrong = []
    for path in sorted(path for path in run.rglob("*") if path.is_file()):
        name = str(path.relative_to(run))
        if LEFTOVER.fullmatch(path.name):
            wrong += [f"{name}: left behind"] * finished
        elif path.suffix == ".h5":
            wrong += [f"{name}: {problem}" for problem in unreadable(path, sealed=path.name not in MERGED)]
        elif path.suffix == ".ini" and not path.read_bytes().endswith(b"\n"):
            wrong.append(f"{name}: ends within a line")
    return wrong


def unreadable(path, sealed):
    """Why a file cannot be read whole."""
    return damage(path, sealed, hashlib.sha256(path.read_bytes()).hexdigest())


@functools.lru_cache(maxsize=10000)
def damage(path, sealed, digest):
    """The same, cached by content: reading all datasets after each of many events takes long."""
    content = path.read_bytes()
    if sealed:
        seal = SEAL.search(content)
        if not seal:
            return ["damaged: no seal at its end"]
        if seal[1].decode() != hashlib.sha256(content[:seal.start()]).hexdigest():
            return ["damaged: its seal is of other bytes"]
    try:
        compare_runs.contents(path)
    except (OSError, KeyError, RuntimeError) as error:
        return [f"damaged: {error}"]
    return []


def strangers(run):
    """Files that belong to another run, to another series or under another number. Damaged ones are not looked at."""
    wrong = []
    ours = identity((run / "identity.ini").read_text())
    for path in sealed_files(run):
        if unreadable(path, sealed=True):
            continue
        name = str(path.relative_to(run))
        with h5py.File(path) as file:
            theirs = identity(text(file.attrs["identity"]))
            wrong += [f"{name}: {key}: of a run with {theirs.get(key)}, this one has {ours.get(key)}"
                      for key in {**ours, **theirs} if theirs.get(key) != ours.get(key)]
            if path.name in ITEMS:
                continue
            series = "" if path.parent.name == "units" else path.parent.name
            if text(file.attrs["series"]) != series:
                wrong.append(f"{name}: of the series '{text(file.attrs['series'])}'")
            if path.name != f"{file.attrs['unit']:06}.h5":
                wrong.append(f"{name}: is unit {file.attrs['unit']}")
    return wrong


def doubled(run):
    """What two units of a series hold. Damaged units are not looked at."""
    wrong, holders = [], {}
    for path in sealed_files(run):
        if path.name in ITEMS or unreadable(path, sealed=True):
            continue
        for item in held(path):
            first = holders.setdefault((path.parent, item), path)
            if first != path:
                wrong.append(f"{path.relative_to(run)}: {item} is in {first.relative_to(run)} too")
    return wrong


def held(path):
    """What a unit holds."""
    with h5py.File(path) as file:
        if "base" in file:
            return [f"case {case}" for case in file["base/case"][:]]
        lines = file["answers" if "answers" in file else "verdicts"]
        return [f"trial {trial} in language {language}" for trial, language in zip(lines["trial"][:], lines["language"][:])]


def problems(run, finished=False):
    """Everything that is wrong with one snapshot."""
    if not (run / "identity.ini").exists():
        return [f"{path.relative_to(run)}: committed without an identity.ini" for path in sealed_files(run)] + half_written(run, finished)
    return half_written(run, finished) + strangers(run) + doubled(run)


# --- files ---


def identity(ini):
    """The keys of an identity.ini."""
    return dict(line.split(" = ", 1) for line in ini.splitlines() if " = " in line and not line.startswith("#"))


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def seal(path):
    """Seals an HDF5 file that was written or changed by hand, for tests that plant one."""
    content = SEAL.sub(b"", Path(path).read_bytes())
    Path(path).write_bytes(content + b"\nsha256 " + hashlib.sha256(content).hexdigest().encode() + b"\n")
