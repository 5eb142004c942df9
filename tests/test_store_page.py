"""docs/store.md names every dataset of a run with its type and unit, and none that is not there."""

import os
import re
import subprocess
from pathlib import Path

import h5py
import pytest

import compare_runs

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(os.environ.get("MOESWEEP_BUILD", ROOT / "build" / "cpu")) / "moesweep"
PAGE = (ROOT / "docs" / "store.md").read_text()
SETTINGS = ["--cases.limit=12", "--cases.discovery=6", "--select.recurrence=2", "--scale_up.limit=16", "--scale_up.discovery=8",
            "--scale_up.recurrence=3", "--noise.draws=1", "--noise.scales=2", "--stats.bootstrap=10", "--stats.sign_flips=10",
            "--run.unit=6", "--store.vectors=outputs"]
TYPES = {"int8": "i8", "int32": "i32", "int64": "i64", "float32": "f32", "float64": "f64"}
MEAN = {"n": "i64", "mean": "f64 logit", "ci_low": "f64 logit", "ci_high": "f64 logit", "p": "f64", "positive_fraction": "f64"}


def section(title):
    """The text below a heading of /sweep.h5's parts."""
    return re.search(rf"^### {title}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def lines(title):
    """The lines of its table, as lists of cells."""
    rows = [line.strip("|").split("|") for line in section(title).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def documented(title):
    """The datasets of a group: name -> type, shape and unit, such as "f32 (n, K)"."""
    return {name: f"{kind} {unit}".strip() for names, kind, unit, _ in lines(title) for name in re.findall("`(.*?)`", names)}


def documented_results():
    """The same for each table of /results."""
    tables = {}
    for name, columns in lines("/results"):
        table = tables[name.strip("`")] = {}
        for column in re.findall(r"\*mean\*(?:\(`\w+`\))?|`\w+` (?:\(n, \w\)|[^,(])+", columns):
            if column.startswith("*"):
                prefix = "".join(f"{x}_" for x in re.findall("`(.*?)`", column))
                table.update({prefix + part: kind for part, kind in MEAN.items()})
            else:
                key, kind = column.strip().split(" ", 1)
                table[key.strip("`")] = kind
    return tables


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


def test_groups(sweep):
    named = {title.split("/")[0] for title in re.findall(r"^### /(\S+)$", PAGE, re.MULTILINE)}
    assert set(sweep) == named


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
    files = {re.sub(r"\d{6}", "000017", str(path.relative_to(run))) for path in run.rglob("*") if path.is_file()}
    listed = set(re.findall(r"^      (\S+)", PAGE, re.MULTILINE))
    assert {re.sub("units/.+/", "units/SERIES/", name) for name in files} == listed - {"log/rank-N.log", "report/"}
    series = {path.name for path in (run / "units").iterdir() if path.is_dir()}
    shapes = [r"noise-[\d.]+-draw-\d+", r"controls-L\d\d(E\d{3})?(-subsets)?"]
    assert series and all(any(re.fullmatch(shape, name) for shape in shapes) for name in series)
