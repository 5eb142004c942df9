"""The paper's whole study on the demo: every table is there, says what the rows say, and has the same bits for any
number of ranks; where a run has too little for a table, the table says so in words."""
import json
import resource
import sys

import numpy as np
import pytest

import program

sys.path.insert(0, str(program.ROOT / "analysis"))
from moesweep import load  # noqa: E402

CONFIG = program.ROOT / "configs" / "paper-demo.ini"
MODEL, FACTS = program.ROOT / "demo" / "model", program.ROOT / "demo" / "facts.json"
MINUTES = 3                        # on two cores
SUMMARY = ["n", "mean", "ci_low", "ci_high", "p", "positive_fraction"]

pytestmark = pytest.mark.skipif(not (MODEL / "model.safetensors").exists() or not FACTS.exists(),
                                reason="demo/ lacks its model or its facts")


def summary(*prefixes):
    return [f"{prefix}_{name}" for prefix in prefixes for name in SUMMARY]


RESCUE_AND_SPEC = summary("rescue", "spec")
TABLES = {
    "summary": [],
    "layers": ["layer", *summary("discovery", "validation")],
    "candidates": ["expert", "discovery_active", "validation_active", "discovery_rescue", "discovery_rescue_active",
                   "recurrent"],
    "heatmap": ["layer"],
    "validation": ["case", "active", "block_rescue", "expert_rescue", "controls", "control_mean", "spec"],
    "main_results": ["name", *SUMMARY],
    "protocol": ["item", "setting"],
    "activity": ["half", "cases", "active", "zero_rescue", "zero_spec", "structural"],
    "relations": ["relation", "n"],
    "relation_results": ["relation", "n", "expert_rescue", "spec", "positive_fraction"],
    "layer_gap": ["top_layer", "top", "next_layer", "next", "gap"],
    "ratios": ["quantity", "value", "ci_low", "ci_high"],
    "split_cases": ["case_id", "split", "position"],
    "gate_matched": ["quantity", "version", *SUMMARY],
    "ranks": ["ranked", "top1", "top2", "mean_rank", "mean_percentile", *summary("spec_all")],
    "two_experts": ["quantity", *SUMMARY],
    "stability": ["seed", "threshold", "layer", "expert", "expert_at_main_layer", *RESCUE_AND_SPEC],
    "relation_folds": ["fold", "relations", "held_out", "active", "expert", *RESCUE_AND_SPEC],
    "noise_scales": ["scale", "selection", "layer", "expert", "n", "active", "mean_drop", *summary("rescue")],
    "draws": ["draw", "scale", "layer_rescue", "expert_rescue", "spec"],
    "relaxed": ["quantity", *SUMMARY],
    "relaxed_transfer": ["subset", "quantity", *SUMMARY],
    "coalitions": ["quantity", *SUMMARY],
    "layer_best": ["layer", "expert", "discovery_active", "discovery_rescue", *RESCUE_AND_SPEC],
    "joint": ["layer", "expert", "discovery_active", "discovery_rescue", "validation_rescue"],
    "shapley": ["layer", "expert", "n", "mean", "ci_low", "ci_high", "share"],
}
ONLY_ATTRIBUTES = {"summary"}
NOT_FOR_THIS_MODEL = {"two_experts"}   # for two experts per token
# Few cases, in units that do not divide them: for tests that run the program often.
SMALL = dict(cases__limit=21, cases__discovery=10, select__recurrence=4, scale_up__limit=26, scale_up__discovery=13,
             scale_up__recurrence=6, stability__thresholds="2,5", stats__bootstrap=100, stats__sign_flips=100, run__unit=4)


def trace(out, ranks=2, **settings):
    """Empty values go by the environment: an option must have one."""
    settings = dict(model__path=MODEL, cases__path=FACTS, run__out=out) | settings
    given = {name: value for name, value in settings.items() if value != ""}
    empty = {f"MOESWEEP_{name.replace('__', '_').upper()}": "" for name in settings.keys() - given.keys()}
    program.call("trace", CONFIG, *program.options(**given), ranks=ranks, **empty)
    return out


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = load(trace(tmp_path_factory.mktemp("paper-demo") / "run"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return run


def check_tables(run):
    """Every table is there with its columns, says why where it is empty, and has no NaN beside an n above 0."""
    for name, columns in TABLES.items():
        table = run.results[name]
        missing = set(columns) - set(table.columns)
        assert not missing, f"{name}: {missing}"
        assert len(table.attrs.get("meaning", "").split()) > 2, name
        if len(table) == 0 and name not in ONLY_ATTRIBUTES:
            assert len(table.attrs.get("note", run.summary["note"]).split()) > 3, f"{name} is empty without a word"
        for column in table:
            if column != "n" and not column.endswith("_n"):
                continue
            front = column.removesuffix("n")
            for part in SUMMARY[1:]:
                if front + part in table:
                    values = table[front + part][table[column] > 0]
                    assert np.isfinite(values).all(), f"{name}: {front + part}"
        assert not np.isinf(table.select_dtypes("number")).to_numpy().any(), name


# --- the full study ---


def test_within_the_time(demo):
    """In CPU time, so that a busy machine fails no test: two ranks share it."""
    assert demo.cpu_seconds / 2 < 60 * MINUTES


def test_every_table_is_there_and_none_is_empty(demo):
    check_tables(demo)
    empty = {name for name in TABLES if len(demo.results[name]) == 0}
    assert empty == ONLY_ATTRIBUTES | NOT_FOR_THIS_MODEL
    for name in TABLES.keys() - ONLY_ATTRIBUTES - NOT_FOR_THIS_MODEL:
        numbers = demo.results[name].select_dtypes("number")
        if name == "candidates":  # the mean over the active cases of an expert that has none
            numbers = numbers[numbers.discovery_active > 0]
        assert np.isfinite(numbers.to_numpy()).all(), name


class Rows:
    """What the tables must count, from rows and routing with pandas alone."""

    def __init__(self, run):
        split, relaxed = run.cases.split, run.cases.relaxed_split
        self.validation, self.discovery = (run.cases.index[split == half] for half in ("validation", "discovery"))
        self.both = run.cases.index[split != "none"]
        self.relaxed_validation = run.cases.index[relaxed == "validation"]
        clean = run.routing[run.routing.run == "clean"]
        self.routed = clean.melt(["case", "layer"], [c for c in clean if c.startswith("expert_")], value_name="expert")
        rescue = run.rows[(run.rows.kind == "expert") & (run.rows.clean_active == 1)]
        self.rescue = rescue.set_index(["case", "layer", "expert"]).rescue
        self.blocks = run.rows[run.rows.kind == "block"].set_index(["case", "layer"]).rescue

    def active(self, cases, layer, expert):
        """How many of the cases route to it."""
        r = self.routed
        return int(((r.layer == layer) & (r.expert == expert) & r.case.isin(cases)).sum())

    def mean_rescue(self, cases, layer, expert):
        values = self.rescue.reindex([(case, layer, expert) for case in cases])
        return values.fillna(0).mean()

    def mean_block(self, cases, layer):
        return self.blocks.reindex([(case, layer) for case in cases]).mean()


@pytest.fixture(scope="module")
def rows(demo):
    return Rows(demo)


def test_the_sweep_is_as_large_as_asked_for(demo, rows):
    assert len(rows.both) == 256 and len(rows.validation) == 128
    relaxed = demo.cases.index[demo.cases.relaxed_split != "none"]
    assert len(relaxed) == 512 and set(demo.base.case) == set(rows.both) | set(relaxed)
    base = demo.conditions.base
    assert base.groupby(["noise_scale", "draw"]).size().to_dict() == {(s, d): 256 for s, d in
                                                                     ((1, 0), (2, 0), (4, 0), (3, 1), (3, 2))}
    kinds = demo.controls.kind.value_counts()
    assert kinds["subset"] == 256 * 15 and kinds["equal_norm"] <= 2 * rows.active(rows.both, *selected(demo))


def selected(run):
    return run.selected_layer, run.selected_expert


def test_n_and_means_are_those_of_the_rows(demo, rows):
    layer, expert = selected(demo)
    active = rows.active(rows.validation, layer, expert)
    main_results = demo.results["main_results"].set_index("name")
    assert (main_results.n[["layer_rescue", "expert_rescue", "coalition_clean", "coalition_union"]] == 128).all()
    assert main_results.n["expert_rescue_active"] == active > 0
    expected = rows.mean_block(rows.validation, layer), rows.mean_rescue(rows.validation, layer, expert)
    assert main_results["mean"]["layer_rescue"] == pytest.approx(expected[0], rel=1e-12)
    assert main_results["mean"]["expert_rescue"] == pytest.approx(expected[1], rel=1e-12)

    activity = demo.results["activity"].set_index("half")
    for half, cases in (("discovery", rows.discovery), ("validation", rows.validation)):
        count = rows.active(cases, layer, expert)
        assert (activity.cases[half], activity.active[half], activity.structural[half]) == (128, count, 128 - count)
    assert (demo.results["gate_matched"].n == active).all() and len(demo.results["gate_matched"]) == 6
    assert demo.results["ranks"].ranked[0] == active
    assert (demo.results["coalitions"].n == 128).all()


def test_relations_and_splits_are_those_of_the_cases(demo, rows):
    relations = demo.results["relations"].set_index("relation")
    assert relations.n.to_dict() == demo.cases.relation[rows.both].value_counts().to_dict()
    by_relation = demo.cases.relation[rows.validation].value_counts()
    relation_results = demo.results["relation_results"]
    assert len(relation_results) == 10 and all(by_relation[line.relation] == line.n for line in relation_results.itertuples())
    split_cases = demo.results["split_cases"]
    assert sorted(split_cases.case_id) == sorted(demo.cases.case_id[rows.both])
    assert (split_cases.split == np.repeat(["discovery", "validation"], 128)).all()
    folds = demo.results["relation_folds"]
    assert list(folds.fold) == [0, 1, 2, 3, 4, -1] and folds.held_out[5] == folds.held_out[:5].sum() == 256
    for fold in folds[:5].itertuples():
        held_out = rows.both[demo.cases.relation[rows.both].isin(fold.relations.split(","))]
        assert (fold.held_out, fold.rescue_n) == (len(held_out), len(held_out))
        assert fold.active == rows.active(held_out, demo.selected_layer, fold.expert)
        assert fold.rescue_mean == pytest.approx(rows.mean_rescue(held_out, demo.selected_layer, fold.expert), rel=1e-12)


def test_other_selections_are_those_of_the_rows(demo, rows):
    stability = demo.results["stability"]
    assert len(stability) == 25 and (stability.rescue_n == 128).all()
    assert (stability[(stability.seed == 0) & (stability.threshold == 64)].expert_at_main_layer == demo.selected_expert).all()
    noise_scales = demo.results["noise_scales"]
    assert list(noise_scales.scale) == [1, 1, 2, 2, 3, 3, 4, 4] and (noise_scales.n == 128).all()
    own = noise_scales[(noise_scales.scale == 3) & (noise_scales.selection == "fixed")].iloc[0]
    assert (own.layer, own.expert) == selected(demo)
    assert all(line.active == rows.active(rows.validation, line.layer, line.expert) for line in noise_scales.itertuples())
    for scale in (1, 2, 4):
        base = demo.conditions.base
        base = base[(base.noise_scale == scale) & base.case.isin(rows.validation)]
        drop = (base.delta_clean - base.delta_noised).mean()
        assert noise_scales.mean_drop[noise_scales.scale == scale].to_numpy() == pytest.approx([drop, drop], rel=1e-12)
    draws = demo.results["draws"]
    assert list(draws.draw) == [0, 1, 2] and draws.layer_rescue.nunique() == 3
    for name in ("layer_best", "joint"):
        for line in demo.results[name].itertuples():
            assert line.discovery_active == rows.active(rows.discovery, line.layer, line.expert) >= 64
            mean = rows.mean_rescue(rows.discovery, line.layer, line.expert)
            assert line.discovery_rescue == pytest.approx(mean, rel=1e-12)
    assert len(demo.results["layer_best"]) == 5


def test_the_relaxed_study_and_shapley_are_those_of_the_rows(demo, rows):
    assert (demo.results["relaxed"].n == len(rows.relaxed_validation)).all() and len(rows.relaxed_validation) == 256
    relaxed_transfer = demo.results["relaxed_transfer"].set_index(["subset", "quantity"])
    new = rows.relaxed_validation.difference(rows.both)
    for subset, cases in (("all", rows.relaxed_validation), ("new", new)):
        assert relaxed_transfer.n[subset, "layer_rescue"] == relaxed_transfer.n[subset, "expert_rescue"] == len(cases) > 0
        expected = rows.mean_rescue(cases, *selected(demo))
        assert relaxed_transfer["mean"][subset, "expert_rescue"] == pytest.approx(expected, rel=1e-12)
    shapley = demo.results["shapley"]
    assert (shapley.layer == demo.selected_layer).all() and shapley.share.sum() == pytest.approx(1, abs=1e-12)
    for line in shapley.itertuples():
        assert line.n == rows.active(rows.both, line.layer, line.expert)
    coalitions = demo.rows[(demo.rows.kind == "coalition_clean") & (demo.rows.layer == demo.selected_layer)]
    total = coalitions.rescue[coalitions.case.isin(rows.both)].sum()
    assert (shapley.n * shapley["mean"]).sum() == pytest.approx(total, rel=1e-12)
    assert float(shapley.attrs["largest_residual"]) < 1e-10


# --- ranks ---


def test_the_same_bits_for_any_number_of_ranks(tmp_path):
    one, *others = (program.Sweep(trace(tmp_path / f"{ranks}", ranks, **SMALL) / "sweep.h5") for ranks in (1, 2, 3))
    assert len(one["rows/rescue"]) > 0 and len(one["controls/rescue"]) > 0 and len(one["conditions/04/rows/rescue"]) > 0
    for other in others:
        program.assert_same_bits(one, other)


# --- too little for a table: it says so, and the run ends with 0 ---

SCARCE = {  # settings, and the tables that must have a note with these words
    "no validation half": (dict(cases__discovery=21, scale_up__discovery=26),
                           {"stability": "validation", "relaxed": "validation", "relaxed_transfer": "validation"}),
    "no usable case": (dict(cases__clean_margin=1e9, scale_up__clean_margin=1e9),
                       {"main_results": "", "split_cases": "no case"}),
    "one case": (dict(cases__limit=1, scale_up__limit=1), {"stability": "", "relaxed": "validation"}),
    "no recurrent expert": (dict(select__recurrence=1000, scale_up__recurrence=1000),
                            {"gate_matched": "expert", "ranks": "expert", "relaxed": "expert", "joint": "expert"}),
    "folds without cases": (dict(stability__folds=40), {"relation_folds": "no case"}),
    "no further noise": (dict(noise__scales="", noise__draws=1), {"noise_scales": "scale", "draws": "draw"}),
    "no relaxed study": (dict(scale_up__limit=0), {"relaxed": "relaxed", "relaxed_transfer": "relaxed"}),
    "no second pass": (dict(controls__equal_norm="no", sweep__subsets="none"),
                       {"gate_matched": "equal-norm", "shapley": "subsets"}),
    "no controls": (dict(controls__random=0), {}),
    "no blocks": (dict(sweep__blocks="no"), {"gate_matched": "layer", "stability": "layer", "layer_gap": "block"}),
    "no experts": (dict(sweep__experts="none"), {"gate_matched": "expert", "joint": "expert"}),
    "no coalitions": (dict(sweep__coalitions="none"), {"coalitions": "coalition"}),
    "no splits": (dict(stability__split_seeds="", stability__thresholds=""), {"stability": "seed"}),
}


@pytest.mark.parametrize("case", SCARCE)
def test_too_little_is_said_in_words(tmp_path, case):
    settings, words = SCARCE[case]
    run = load(trace(tmp_path / "run", **(SMALL | settings)))
    check_tables(run)
    for name, word in words.items():
        note = run.results[name].attrs.get("note", run.summary["note"])
        assert len(note.split()) > 3 and word in note, (name, note)


def test_a_handful_of_facts(tmp_path):
    """Fewer cases than either half wants."""
    (tmp_path / "facts.json").write_text(json.dumps(json.loads(FACTS.read_text())[:3]))
    run = load(trace(tmp_path / "run", cases__path=tmp_path / "facts.json", **SMALL))
    assert len(run.cases) == 3
    check_tables(run)
