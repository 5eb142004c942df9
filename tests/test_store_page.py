"""docs/store.md names every dataset of a run with its type and unit, and none that is not there."""

import json
import os
import re
import subprocess
from pathlib import Path

import h5py
import pytest

import compare_runs
import xici_run

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "moesweep"
PAGE = (ROOT / "docs" / "store.md").read_text()
SETTINGS = ["--cases.limit=12", "--cases.discovery=6", "--select.recurrence=2", "--scale_up.limit=16", "--scale_up.discovery=8",
            "--scale_up.recurrence=3", "--noise.draws=1", "--noise.scales=2", "--stats.bootstrap=10", "--stats.sign_flips=10",
            "--run.unit=6", "--store.vectors=outputs"]
TYPES = {"int8": "i8", "int32": "i32", "int64": "i64", "float32": "f32", "float64": "f64"}
MEAN = {"n": "i64", "mean": "f64 logit", "ci_low": "f64 logit", "ci_high": "f64 logit", "p": "f64", "positive_fraction": "f64"}
RATE = {"": "f64", "low": "f64", "high": "f64"}
GROUPS = {"mean": MEAN, "rate": RATE, "gap": RATE | {"p": "f64"}}  # several columns under one word


def section(title, file="sweep.h5"):
    """The text below a heading of a merged file's parts."""
    parts = re.search(rf"^## {file}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    return re.search(rf"^### {title}\n(.*?)(?=^#|\Z)", parts, re.MULTILINE | re.DOTALL)[1]


def lines(title, file="sweep.h5"):
    """The lines of its table, as lists of cells."""
    rows = [line.strip("|").split("|") for line in section(title, file).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def documented(title, file="sweep.h5"):
    """The datasets of a group: name -> type, shape and unit, such as "f32 (n, K)"."""
    return {name: f"{kind} {unit}".strip() for names, kind, unit, _ in lines(title, file)
            for name in re.findall("`(.*?)`", names)}


def documented_results(file="sweep.h5"):
    """The same for each table of /results."""
    tables = {}
    for name, columns in lines("/results", file):
        table = tables[name.strip("`")] = {}
        if same := re.match("as `(.*?)`", columns):
            table.update(tables[same[1]])
            continue
        for column in re.findall(r"\*\w+\*(?:\(`\w+`\))?|`\w+` (?:\(n, \w\)|[^,(])+", columns):
            if column.startswith("*"):
                group, *prefix = re.findall(r"\w+", column)
                table.update({"_".join(filter(None, [*prefix, part])): kind for part, kind in GROUPS[group].items()})
            else:
                key, kind = column.strip().split(" ", 1)
                table[key.strip("`")] = kind
    return tables


def listed(method):
    """The files of a run in the page's two lists: any method's, and this one's."""
    trees = dict(re.findall(r"^    RUN/ +of (any method|`\w+`)\n((?:      .*\n)+)", PAGE, re.MULTILINE))
    return set(re.findall(r"^      (\S+)", trees["any method"] + trees[f"`{method}`"], re.MULTILINE))


def files_of(*runs):
    """The files of runs in the page's words."""
    names = {re.sub(r"\d{6}", "000017", str(path.relative_to(run))) for run in runs for path in run.rglob("*")
             if path.is_file()}
    names = {re.sub("[0-9a-f]{16}", "DIGEST", name) for name in names}
    return {re.sub("units/.+/", "units/SERIES/", name) for name in names}


def found(group):
    """What a file's group holds, in the page's words but for the names of widths."""
    def kind(data):
        base = "enum" if h5py.check_enum_dtype(data.dtype) else "text" if data.dtype.kind == "S" else TYPES[str(data.dtype)]
        return " ".join(f"{base} {'(n, .)' * (data.ndim == 2)} {data.attrs['unit'].decode()}".split())
    return {name: kind(data) for name, data in group.items()}


def any_width(columns):
    return {name: re.sub(r"\(n, \w\)", "(n, .)", kind) for name, kind in columns.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    out = tmp_path_factory.mktemp("demo") / "run"
    subprocess.run([PROGRAM, "trace", "configs/paper-demo.ini", *SETTINGS, f"--run.out={out}"], cwd=ROOT, check=True,
                   env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    return out


@pytest.fixture(scope="module")
def sweep(run):
    with h5py.File(run / "sweep.h5") as file:
        yield file


def named(file):
    """The groups of a merged file."""
    parts = re.search(rf"^## {file}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    return {title.split("/")[0] for title in re.findall(r"^### /(\S+)$", parts, re.MULTILINE)}


def test_groups(sweep):
    assert set(sweep) == named("sweep.h5")


@pytest.mark.parametrize("group", ["cases", "base", "routing", "rows"])
def test_columns(sweep, group):
    assert found(sweep[group]) == any_width(documented(f"/{group}"))


def test_the_groups_with_the_columns_of_others(sweep):
    assert found(sweep["controls"]) == found(sweep["rows"])
    condition = sweep["conditions/00"]
    assert set(condition) == {"base", "routing", "rows"} and condition.attrs["scale"].dtype == "f8"
    assert condition.attrs["draw"].dtype == "i8"
    for part in condition:
        assert found(condition[part]) == found(sweep[part])
    assert found(sweep["vectors"]).items() < any_width(documented("/vectors")).items()


def test_results(sweep):
    page = documented_results()
    names = {name: compare_runs.today(f"results/{name}").removeprefix("results/") for name in sweep["results"]}
    assert set(names.values()) == set(page)
    for name, today in names.items():
        assert found(sweep["results"][name]) == any_width(page[today]), today


@pytest.mark.parametrize("group", ["meta", "provenance"])
def test_attributes(sweep, group):
    assert set(re.findall(r"`(\w+)`", section(f"/{group}"))) == set(sweep[group].attrs)


def test_units(run):
    with h5py.File(run / "units/000001.h5") as unit:
        assert set(unit) == {"base", "routing", "rows", "vectors"}
        assert set(unit.attrs) == {"identity", "series", "unit", "case_begin", "case_end"}
    assert files_of(run) == listed("trace") - {"log/rank-N.log", "report/"}
    series = {path.name for path in (run / "units").iterdir() if path.is_dir()}
    shapes = [r"noise-[\d.]+-draw-\d+", r"controls-L\d\d(E\d{3})?(-subsets)?"]
    assert series and all(any(re.fullmatch(shape, name) for shape in shapes) for name in series)


# --- the second method ---


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Runs of `xici` whose answers a file rates, and another model."""
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is not built")
    rater = {"rate.by": "model", "rate.model": "demo/model", "rate.chat": "none", "questions.limit": 1}
    return [xici_run.make(tmp_path_factory.mktemp("xici"), settings) for settings in ({}, rater)]


@pytest.fixture(scope="module")
def xici(asked):
    with h5py.File(asked[0] / "xici.h5") as file:
        yield file


def test_groups_of_xici(xici):
    assert set(xici) == named("xici.h5")


@pytest.mark.parametrize("group", ["questions", "languages", "variants", "answers", "answer_tokens", "capture",
                                   "trials", "deactivated", "conditions", "experts", "blacklist", "ratings"])
def test_columns_of_xici(xici, group):
    assert found(xici[group]) == any_width(documented(f"/{group}", "xici.h5"))
    assert len(next(iter(xici[group].values()))) > 0 or group == "blacklist"


def test_results_of_xici(xici):
    page = documented_results("xici.h5")
    assert set(xici["results"]) == set(page)
    for name, table in xici["results"].items():
        assert found(table) == page[name], name
        assert set(table.attrs) <= {"meaning", "paper", "note"}


def test_attributes_of_xici(xici, sweep):
    assert set(re.findall(r"`(\w+)`", section("/meta", "xici.h5"))) == set(xici["meta"].attrs)
    assert set(sweep["provenance"].attrs) == set(xici["provenance"].attrs)


def test_questions_file(asked, xici):
    with h5py.File(asked[0] / "questions.h5") as file:
        assert set(file) == {"meta", "questions"}
        assert set(file["meta"].attrs) == set(xici["meta"].attrs) - {"config", "precision"}
        assert found(file["questions"]) == found(xici["variants"]) | found(xici["questions"]) | found(xici["languages"])


def test_units_of_xici(asked):
    attributes = {"identity", "series", "unit", "trial_begin", "trial_end"}
    for path in [path for run in asked for path in run.rglob("units/**/*.h5")]:
        with h5py.File(path) as unit:
            rated = path.parent.name.startswith("rated-")
            assert set(unit) == ({"verdicts"} if rated else {"answers", "answer_tokens", "capture"})
            assert set(unit.attrs) == attributes
            if rated:
                assert found(unit["verdicts"]) == {"trial": "i32", "language": "i32", "verdict": "enum", "said": "text"}
                assert set(h5py.check_enum_dtype(unit["verdicts/verdict"].dtype)) == {"no", "yes", "unparsable"}
            else:
                assert (len(unit["capture/trial"]) == 0) == path.parent.name.startswith("deactivated-")
    assert files_of(*asked) == listed("xici") - {"log/rank-N.log", "report/"}
    folders = [path for run in asked for path in (run / "units").iterdir() if path.is_dir()]
    series = {re.sub("[0-9a-f]{16}", "DIGEST", path.name) for path in folders}
    assert series == {"deactivated-DIGEST", "rated-DIGEST"}


def test_answers_to_be_rated(asked):
    path, = asked[0].glob("answers-deactivated-*.jsonl")
    line = json.loads(path.read_text().splitlines()[0])
    paragraph = re.search(r"^\*\*`answers.jsonl`.*?A\s+ratings", PAGE, re.MULTILINE | re.DOTALL)[0]
    assert set(line) == set(re.findall(r"`(\w+)`", paragraph))
    assert re.fullmatch(r"without( \d+\.\d+)+", line["condition"])
