"""The rooms of the source tree keep to themselves: what is included, named and how long it is. Reads text, needs no
build."""

import re
import tokenize
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
CPP = {".h", ".cpp", ".cu", ".inc", ".in", ".c"}
WIDTHS = {**dict.fromkeys(CPP, 120), ".txt": 120, ".cmake": 120, ".py": 128, ".sh": 128, ".sbatch": 128}  # columns
FOLDERS = ["src", "include", "tests", "bench", "cmake", "jobs", "analysis", "demo"]
MOST_LINES = 350

# Rooms that know no method, and the words of the methods. Plurals and participles count; `row` and `expert` are
# everybody's.
WITHOUT_METHOD = ["run", "store"]
NOUNS = ["case", "fact", "counterfact", "subject", "foil", "patch", "noise", "rescue", "coalition", "routing", "trace",
         "tracing", "xici", "question", "language"]
INFLECTED = {noun + ending for noun in NOUNS for ending in ("", "s", "es", "d", "ed")}
NOT_THE_NOUN = re.compile(r"\bcase (?:\w|::|'.')+:(?!:)"  # C++
                          r"|\bin (?:this|that|any|either|each|every|no|the \w+) case\b|\b(?:lower|upper)[- ]?case\b",
                          re.IGNORECASE)
PAIR = re.compile(r"\(layer, expert\)|\bexpert pairs?\b")

# Parts of the names that the families' checkpoints give to tensors: in texts and comments, for C++ has members of such
# names.
TENSOR = re.compile(r"embed_tokens|lm_head|\b(?:q|k|v|o|gate|up|down|gate_up)_proj|\b[qk]_norm\.|self_attn|block_sparse_moe"
                    r"|_layernorm|\bmodel\.(?:norm|layers|embed)|\bmlp\.[a-z]|\bexperts\.(?:[{\d]|gate|up|down)"
                    r"|shared_experts?\.|e_score_correction|\bw[123]\b")
TEXT_OR_COMMENT = re.compile(r"""//[^\n]*|/\*.*?\*/|R"\((?s:.*?)\)"|"(?:\\.|[^"\\\n])*"|'(?:\\.[^']*|[^\\\n])'""", re.DOTALL)
INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<(moesweep/[^>]+)>)""", re.MULTILINE)

# Paths on pages, but not those that a build or a run makes, of other packages, beside the tree, or with a placeholder.
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w.-]+\.(?:h|cpp|py|sh|md|ini|sbatch|cmake|txt))`")
MADE = re.compile(r"(?:build|runs|units|report|log|RUN)\b|(?:identity|config)\.ini$|BoostConfig\.cmake|nccl\.h|\.\./"
                  r"|.*\b[A-Z]{3,}\b(?!\.(?:md|txt))")


# --- the rooms ---


def rooms(root):
    """Their names, from the ground up."""
    return re.search(r"foreach\(room ([^)]*)\)", (root / "src/CMakeLists.txt").read_text())[1].split()


def room_of(root, path):
    """The room of a source or header. main.cpp stands in the highest."""
    parts = path.relative_to(root).parts
    if parts == ("src", "main.cpp"):
        return rooms(root)[-1]
    return parts[2] if parts[:2] == ("include", "moesweep") else parts[1]


def is_public(root, path):
    return path.is_relative_to(root / "include")


def sources(root, *folders, types=CPP):
    """Files of these types, in a fixed order."""
    return sorted(path for folder in folders for path in (root / folder).rglob("*") if path.suffix in types and path.is_file())


def included(root, path):
    """What a file includes of ours: (line number, name, path or None if there is no such file)."""
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        name = match[1] or match[2]
        tried = [place / name for place in (path.parent, root / "include", root / "src")]
        tried += [at.with_suffix(".h.in") for at in tried]  # what CMake makes into a header
        yield text.count("\n", 0, match.start()) + 1, name, next((at.resolve() for at in tried if at.is_file()), None)


def wrong_includes(root):
    """Includes that point upward, into the private part of another room, or nowhere. Tests and benchmarks may look
    anywhere."""
    order, wrong = rooms(root), []
    for path in sources(root, "src", "include"):
        room = room_of(root, path)
        if room not in order:
            continue  # unlisted_rooms names it
        for number, name, header in included(root, path):
            where = f"{path.relative_to(root)}:{number}: {name}"
            if header is None:
                wrong.append(f"{where}: no such header")
                continue
            other = room_of(root, header)
            if other not in order[:order.index(room) + 1]:
                wrong.append(f"{where}: {room} is below {other}")
            elif not is_public(root, header) and other != room:
                wrong.append(f"{where}: private to {other}")
            elif not is_public(root, header) and is_public(root, path):
                wrong.append(f"{where}: private, in a public header")
    return wrong


def unlisted_rooms(root):
    """Sources and headers that lie in none."""
    return [str(path.relative_to(root)) for path in sources(root, "src", "include") if room_of(root, path) not in rooms(root)]


# --- words ---


def lines_with(root, paths, find):
    """path:line: what `find` finds in the line, for each of these files."""
    return [f"{path.relative_to(root)}:{number}: {what}" for path in paths
            for number, line in enumerate(path.read_text().split("\n"), 1) for what in find(line)]


def tensor_names(root):
    """Outside src/model/families/. A comment of several lines counts as its first."""
    wrong = []
    for path in sources(root, "src", "include"):
        if not path.is_relative_to(root / "src/model/families"):
            text = path.read_text()
            wrong += [f"{path.relative_to(root)}:{text.count(chr(10), 0, piece.start()) + 1}: {name[0]}"
                      for piece in TEXT_OR_COMMENT.finditer(text) for name in TENSOR.finditer(piece[0])]
    return wrong


def nouns_in(line):
    line = NOT_THE_NOUN.sub("", line)
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", line)
    return [word for word in words if word.lower() in INFLECTED] + PAIR.findall(line)


def methods_nouns(root):
    folders = [folder for room in WITHOUT_METHOD for folder in (f"src/{room}", f"include/moesweep/{room}")]
    return lines_with(root, sources(root, *folders), nouns_in)


# --- sizes ---


def wide_lines(root):
    """Of a Python file, comments and docstrings."""
    wrong = []
    for path in [root / "CMakeLists.txt", *sources(root, *FOLDERS, types=WIDTHS)]:
        if path.is_file() and (path.suffix != ".txt" or path.name == "CMakeLists.txt"):
            most, lines = WIDTHS[path.suffix], path.read_text().split("\n")
            prose = prose_lines(path) if path.suffix == ".py" else range(1, len(lines) + 1)
            wrong += [f"{path.relative_to(root)}:{number}: {len(lines[number - 1])} columns, {most} at most"
                      for number in prose if len(lines[number - 1]) > most]
    return wrong


def prose_lines(path):
    """Numbers of a Python file's lines that end in a comment or belong to a docstring."""
    with path.open("rb") as file:
        return [number for token in tokenize.tokenize(file.readline)
                if token.type == tokenize.COMMENT or token.type == tokenize.STRING and token.line.lstrip().startswith('"""')
                for number in range(token.start[0], token.end[0] + 1)]


def long_files(root):
    counted = [(path, path.read_text().count("\n")) for path in sources(root, "src", "include")]
    return [f"{path.relative_to(root)}: {lines} lines, {MOST_LINES} at most" for path, lines in counted if lines > MOST_LINES]


# --- pages ---


def missing_paths(root):
    """Files and folders that a page names and the tree lacks; `families.h` may be anywhere in it."""
    paths = [*root.iterdir(), *(path for folder in [*FOLDERS, "configs", "docs"] for path in (root / folder).rglob("*"))]
    tree = {f"/{path.relative_to(root)}" for path in paths}
    wrong = []
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md")), root / "tests/README.md", root / "bench/README.md"]:
        for number, line in enumerate(page.read_text().split("\n") if page.is_file() else [], 1):
            wrong += [f"{page.relative_to(root)}:{number}: {name}" for name in NAMED.findall(line)
                      if not MADE.match(name) and not any(path.endswith(f"/{name.rstrip('/')}") for path in tree)]
    return wrong


CHECKS = [wrong_includes, unlisted_rooms, tensor_names, methods_nouns, wide_lines, long_files, missing_paths]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_tree(check):
    assert len(sources(ROOT, "src", "include")) > 100  # else there was nothing to check
    wrong = check(ROOT)
    assert not wrong, "\n".join(["", *wrong])


# --- the checks themselves ---

SOUND = {
    "src/CMakeLists.txt": "foreach(room base model store run tracing)\n",
    "src/main.cpp": '#include "tracing/private.h"\n',
    "src/base/files.cpp": '#include "moesweep/base/files.h"\n#include <string>\n',
    "src/run/dealer.cpp": '#include "dealer.h"\n#include "moesweep/store/store.h"\nswitch (x) {\n  case Step::a: break;\n}\n'
                          "// In that case, an upper-case letter: one row of each expert.\n",
    "src/run/dealer.h": "mlp.gate_up(w.q_norm, 1'000, 'x');\n",
    "src/tracing/private.h": '#include <moesweep/base/files.h>\n// a case of a fact\n',
    "src/model/families/one.cpp": 'name("model.layers.{}.mlp.gate.weight");\n',
    "include/moesweep/base/files.h": '#include "moesweep/base/version.h"\n',
    "include/moesweep/base/version.h.in": "",
    "include/moesweep/store/store.h": "// " + "x" * 117 + "\n",
    "jobs/one.sh": "#" * 128 + "\n",
    "docs/page.md": "`src/run/dealer.cpp`, `private.h`, `src/run/`, `build/cpu/moesweep`, `src/ROOM/`, `/rows`, `w / n`\n",
    "tests/one.py": "x = '" + "x" * 128 + "'\n",
}

PLANTED = [
    (wrong_includes, "src/run/dealer.h", '\n#include "moesweep/tracing/x.h"',
     "src/run/dealer.h:2: moesweep/tracing/x.h: run is below tracing"),
    (wrong_includes, "src/run/dealer.h", '  #  include <moesweep/tracing/x.h>',
     "src/run/dealer.h:1: moesweep/tracing/x.h: run is below tracing"),
    (wrong_includes, "src/run/dealer.h", '#include "tracing/private.h"',
     "src/run/dealer.h:1: tracing/private.h: run is below tracing"),
    (wrong_includes, "include/moesweep/store/x.h", '#include "../tracing/x.h"',
     "include/moesweep/store/x.h:1: ../tracing/x.h: store is below tracing"),
    (wrong_includes, "src/tracing/x.cpp", '#include "run/dealer.h"', "src/tracing/x.cpp:1: run/dealer.h: private to run"),
    (wrong_includes, "src/main.cpp", '#include "run/dealer.h"', "src/main.cpp:1: run/dealer.h: private to run"),
    (wrong_includes, "include/moesweep/run/x.h", '#include "run/dealer.h"',
     "include/moesweep/run/x.h:1: run/dealer.h: private, in a public header"),
    (wrong_includes, "src/run/x.cpp", '#include "gone.h"', "src/run/x.cpp:1: gone.h: no such header"),
    (unlisted_rooms, "src/cellar/x.cpp", "", "src/cellar/x.cpp"),
    (unlisted_rooms, "include/moesweep/cellar/x.h", "", "include/moesweep/cellar/x.h"),
    (unlisted_rooms, "include/moesweep/x.h", "", "include/moesweep/x.h"),
    (tensor_names, "src/model/x.cpp", 'int mlp;\nname("mlp.gate.weight");', "src/model/x.cpp:2: mlp.g"),
    (tensor_names, "src/run/x.cpp", "f(); // such as lm_head", "src/run/x.cpp:1: lm_head"),
    (tensor_names, "src/run/x.cpp", 'f(R"(\nblock_sparse_moe)");', "src/run/x.cpp:1: block_sparse_moe"),
    (tensor_names, "include/moesweep/model/x.h", 'std::string name = "{}_proj.weight", other = "q_proj.bias";',
     "include/moesweep/model/x.h:1: q_proj"),
    (methods_nouns, "src/run/x.cpp", "for (const Case& one : all)", "src/run/x.cpp:1: Case"),
    (methods_nouns, "src/run/x.cpp", "int cases_per_unit;", "src/run/x.cpp:1: cases"),
    (methods_nouns, "src/store/x.cpp", "auto t = readRoutingTable();", "src/store/x.cpp:1: Routing"),
    (methods_nouns, "src/store/x.h", 'visit("delta_noised");', "src/store/x.h:1: noised"),
    (methods_nouns, "src/store/x.h", "// what a rescue is", "src/store/x.h:1: rescue"),
    (methods_nouns, "src/store/x.h", "// patches", "src/store/x.h:1: patches"),
    (methods_nouns, "include/moesweep/store/x.h", "std::string facts_sha256;", "include/moesweep/store/x.h:1: facts"),
    (methods_nouns, "include/moesweep/run/x.h", "/// for every (layer, expert)", "include/moesweep/run/x.h:1: (layer, expert)"),
    (methods_nouns, "include/moesweep/run/x.h", "case Kind::a: f(XICI);", "include/moesweep/run/x.h:1: XICI"),
    (wide_lines, "src/run/x.cpp", "a\n" + "x" * 121, "src/run/x.cpp:2: 121 columns, 120 at most"),
    (wide_lines, "src/run/CMakeLists.txt", "x" * 121, "src/run/CMakeLists.txt:1: 121 columns, 120 at most"),
    (wide_lines, "jobs/x.sh", "x" * 129, "jobs/x.sh:1: 129 columns, 128 at most"),
    (wide_lines, "tests/x.py", "x = 1\n#" + "x" * 128, "tests/x.py:2: 129 columns, 128 at most"),
    (wide_lines, "tests/x.py", f'def f():\n    """One.\n    {"x" * 125}"""\n', "tests/x.py:3: 132 columns, 128 at most"),
    (missing_paths, "docs/page.md", "\n`src/run/gone.h`", "docs/page.md:2: src/run/gone.h"),
    (missing_paths, "README.md", "see `gone.h` and `jobs/one.sh`", "README.md:1: gone.h"),
    (long_files, "src/run/x.cpp", "\n" * 351, "src/run/x.cpp: 351 lines, 350 at most"),
]


@pytest.fixture
def tree(tmp_path):
    """A small tree in which no check finds anything."""
    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path
    write(SOUND | {"include/moesweep/tracing/x.h": ""})
    return write


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_tree(tree, check):
    assert check(tree({})) == []


@pytest.mark.parametrize(("check", "name", "text", "said"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_what_is_planted_is_found(tree, check, name, text, said):
    assert check(tree({name: text})) == [said]
