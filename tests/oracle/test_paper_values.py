"""The paper's values beside ours: transcribed whole, matched by geometry, marked where intervals do not overlap."""

import collections
import json
import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "analysis"), str(pathlib.Path(__file__).parent)]

from moesweep.report import make_report  # noqa: E402
from synthetic_run import Synthetic  # noqa: E402
from test_report import cells, section  # noqa: E402

SHARED = pathlib.Path(os.environ.get("MOESWEEP_SHARED", ROOT.parent / "shared")) / "paper"
OURS = json.loads((ROOT / "analysis" / "moesweep" / "tracing" / "paper_values.json").read_text())
NAMES = {
    "table1_main_validation": "main_results", "table3_activity": "activity", "table4_relations": "relations",
    "table5_relation_wise": "relation_results", "table6_sharpness": "layer_gap", "table7_ratios": "ratios",
    "table9_gate_matched": "gate_matched", "table10_all_active_rank": "ranks", "table11_active_pair": "two_experts",
    "selection_stability": "stability", "table12_relation_held_out": "relation_folds", "table13_noise_scale": "noise_scales",
    "table14_relaxed": "relaxed", "table15_relaxed_overlap": "relaxed_transfer", "table16_coalitions": "coalitions",
}


def paper(name):
    if not (SHARED / name).is_file():
        pytest.skip(f"shared/paper/{name} is not there")
    return json.loads((SHARED / name).read_text())


def numbers(value):
    """Every number in a tree, counted; of "230/256" the first."""
    if isinstance(value, dict):
        return sum(map(numbers, value.values()), collections.Counter())
    if isinstance(value, list):
        return sum(map(numbers, value), collections.Counter())
    if isinstance(value, str):
        return collections.Counter(map(float, re.findall(r"^(\d+)/", value)))
    return collections.Counter([float(value)])


@pytest.mark.parametrize(("model", "key"), [(0, "qwen3"), (1, "mixtral")])
def test_every_number_of_the_papers_tables_is_there(model, key):
    theirs = paper("tables.json")
    facts = theirs["models"][key]
    ours = OURS["models"][model]
    assert (ours["name"], ours["layer"], ours["expert"]) == (facts["name"], facts["layer"], facts["expert"])
    assert list(ours["geometry"].values()) == [facts["layers"], facts["experts"], facts["top_k"]]
    compared = 0
    for name, table in theirs.items():
        if isinstance(table, dict) and key in table and name not in ("models", "protocol"):
            lines = {k: v for k, v in table[key].items() if k not in ("split_seeds", "thresholds")} \
                if isinstance(table[key], dict) else table[key]
            known = ours["tables"][NAMES[name]]
            keys = collections.Counter(float(k.split()[0]) for k in known if re.fullmatch(r"\d+ fixed", k))
            assert not numbers(lines) - numbers(known) - keys, name
            compared += 1
    assert compared == {"qwen3": 13, "mixtral": 10}[key]
    assert ours["tables"]["main_results"]["spec"]["mean"] == theirs["table1_main_validation"][key]["spec"]
    assert ours["tables"]["relaxed"]["spec"]["mean"] == theirs["table14_relaxed"][key]["spec"]


@pytest.mark.parametrize(("model", "key"), [(0, "Qwen3"), (1, "Mixtral")])
def test_the_case_ids_are_those_of_table_8(model, key):
    assert OURS["models"][model]["tables"]["split_cases"] == paper("case_ids.json")["cases"][key]


def test_the_protocol_is_the_papers():
    theirs = paper("tables.json")["protocol"]
    ours = OURS["protocol"]
    assert (ours["cases.limit"], ours["cases.discovery"], ours["noise.scale"]) == (theirs["usable_cases"], theirs["discovery"], 3)
    assert (ours["stats.bootstrap"], ours["stats.sign_flips"]) == (theirs["bootstrap_resamples"], theirs["sign_flip_samples"])
    assert [model["protocol"]["controls.random"] for model in OURS["models"]] == list(theirs["active_random_controls"].values())


QWEN3 = {"layers": 48, "experts": 128, "k": 8, "layer": 44, "expert": 69}
MIXTRAL = {"layers": 32, "experts": 8, "k": 2, "layer": 19, "expert": 6}


@pytest.fixture(scope="module", params=[(QWEN3, "Qwen3-30B-A3B-Base", "+0.400 [+0.276, +0.533]"),
                                        (MIXTRAL, "Mixtral-8x7B-v0.1", "−0.175 [−0.284, −0.072]")], ids=["qwen3", "mixtral"])
def beside(request, tmp_path_factory):
    """(page, the paper's name of the model, its Spec) of a run with a model's geometry."""
    geometry, name, spec = request.param
    folder = Synthetic(**geometry, usable=40, effect=3, recurrence=8).write(tmp_path_factory.mktemp("run"))
    return make_report(folder).read_text(encoding="utf-8"), name, spec


def ends(text):
    return [float(end) for end in re.search(r"\[(.*),\s(.*)\]", text.replace("−", "-")).groups()]


def test_the_papers_values_stand_beside_its_models(beside):
    page, name, spec = beside
    assert f"{name} in the paper" in page and "Unlike the paper: cases.limit is 40 (the paper’s: 256)" in page
    assert cells(page, "main_results", "spec")[2][1].replace("\u00a0", " ").startswith(spec)
    assert not cells(page, "main_results", "control_mean")[2][1]
    tables = OURS["models"][0 if "Qwen3" in name else 1]["tables"].keys() - {"relations", "relation_results"}
    for table in tables:  # the relations of the made-up run are others
        assert 'class="paper"' in section(page, table) or "he paper" in section(page, table), table


def test_intervals_that_do_not_overlap_are_marked(beside):
    page = beside[0]
    marked = 0
    for name in ("main_results", "relaxed", "coalitions", "gate_matched"):
        for key in re.findall('<tr data-key="(.*?)"', section(page, name)):
            for ours, theirs in cells(page, name, key):
                if "[" in ours and "[" in theirs:
                    (low, high), (paper_low, paper_high) = ends(ours), ends(theirs)
                    assert ("≠" in theirs) == (low > paper_high or high < paper_low), (name, key)
                    marked += "≠" in theirs
                else:
                    assert "≠" not in theirs
    assert marked > 0


def test_no_paper_beside_another_geometry(tmp_path):
    page = make_report(Synthetic(usable=20, whole=False).write(tmp_path)).read_text(encoding="utf-8")
    assert 'class="paper"' not in page and "The paper has no model of this geometry" in page
