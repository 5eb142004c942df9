"""Every number of a sweep.h5 against transformers: tiny checkpoints of all families, one full forward per patch."""

import dataclasses
import itertools
import random

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

import checkpoints
import program
import reference
import synthetic_facts

pytestmark = pytest.mark.numerics

FACTS = 12
DISCOVERY = 4
NOISE_SEED = 5
DTYPES = {"fp32": torch.float32, "fp64": torch.float64, "split": torch.float64}
# Each at least three times the worst value seen, by either library of products held to AVX2, AVX-512 and AMX.
FP32 = {"value": 5e-5,  # 1.5e-5 in a logit, 7e-6 in a rescue, and rescues are 0.2 to 0.8 here
        "union": 5e-6}  # 1.4e-6: the same sum in two orders, both ours
TOLERANCES = {"fp32": FP32,   # against transformers in fp32
              "split": FP32,  # the bits of fp32, against transformers in fp64
              "fp64": {"value": 2e-5,     # 5.6e-6: transformers keeps norms, softmax and rotary angles in fp32 in any model
                       "union": 1e-13}}  # 3.2e-15
SIGMA = 1e-6  # relative: torch.std and ours sum in another order
NEAR_TIE = 1e-5  # a smaller gap could fall the other way in fp32: such a seed is no test


@dataclasses.dataclass
class Run:
    """A sweep and what it has to be."""
    name: str
    precision: str
    vectors: str
    folder: object
    model: torch.nn.Module
    sigma: float
    cases: list    # all scanned
    results: list  # of the usable ones
    sweep: program.Sweep

    @property
    def usable(self):
        return [i for i, case in enumerate(self.cases) if case.status == "usable"]

    @property
    def tolerance(self):
        return TOLERANCES[self.precision]["value"]

    def sites(self):
        """(index into /cases, layer, run name, site) in the order of /routing."""
        for index, result in zip(self.usable, self.results):
            for (layer, name), site in sorted(result.sites.items(), key=lambda item: item[0]):
                yield index, layer, name, site

    def rows(self):
        """(index into /cases, row, delta_noised) in the order of /rows."""
        for index, result in zip(self.usable, self.results):
            for row in result.rows:
                yield index, row, result.delta_noised


def bos_of(name):
    """The BOS id that model.bos = auto prepends."""
    return 1 if checkpoints.RECIPES[name].tokenizer == "sentence-piece" else None


def scanned_cases(folder, facts, bos):
    """The cases that a number of facts become under the checkpoint's tokenizer."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return synthetic_facts.scanned_cases(tokenizer, synthetic_facts.make_facts(facts), bos)


PARAMETERS = [pytest.param((name, precision), id=f"{name}-{precision}",
                           marks=pytest.mark.quick if (name, precision) == ("qwen3", "fp32") else ())
              for name, precision in itertools.product(checkpoints.RECIPES, DTYPES)
              if precision != "split" or checkpoints.RECIPES[name].dtype == torch.bfloat16]


@pytest.fixture(scope="module", params=PARAMETERS)
def run(request, checkpoint, facts_file, tmp_path_factory):
    name, precision = request.param
    folder, work = checkpoint(name), tmp_path_factory.mktemp("run")
    vectors = {"fp32": "outputs", "fp64": "patches", "split": "outputs"}[precision]
    config = program.write_config(
        work / "sweep.ini", model__path=folder, model__precision=precision, cases__path=facts_file(FACTS), cases__limit=0,
        cases__clean_margin="-inf", cases__noise_drop="-inf", cases__discovery=DISCOVERY, noise__seed=NOISE_SEED, select__recurrence=1,
        run__out=work / "run", run__unit=4, store__vectors=vectors)
    program.call("trace", config)

    cases = scanned_cases(folder, FACTS, bos_of(name))
    model = reference.load_model(folder, DTYPES[precision])
    sigma = reference.noise_sigma(model, 3.0)
    results = [reference.run_case(model, case, sigma, NOISE_SEED) for case in cases if case.status == "usable"]
    return Run(name, precision, vectors, folder, model, sigma, cases, results, program.Sweep(work / "run" / "sweep.h5"))


def test_the_checkpoint_is_a_hard_test(run):
    rescues = [row.delta - delta_noised for _, row, delta_noised in run.rows()]
    assert np.std(rescues) > 1000 * run.tolerance
    assert all(site.gap > NEAR_TIE for *_, site in run.sites())
    routed = {(index, layer, name): set(site.experts) for index, layer, name, site in run.sites()}
    changed = np.mean([routed[index, layer, "clean"] != routed[index, layer, "noised"] for index, layer, _ in routed])
    all_routed = run.model.config.num_experts_per_tok == run.model.config.num_local_experts
    assert changed == 0 if all_routed else changed > 0.2
    lengths = {len(case.tokens) for case in run.cases if case.status == "usable"}
    assert min(lengths) <= 2 and max(lengths) > 33 and len(lengths) > 4


def test_cases(run):
    cases = run.sweep
    for column in ("record", "case_id", "relation", "subject", "prompt", "true_text", "foil_text", "status", "subject_begin",
                   "subject_end", "true_id", "foil_id"):
        assert list(cases["cases/" + column]) == [getattr(case, column) for case in run.cases], column
    shuffled = list(run.usable)
    random.Random(0).shuffle(shuffled)
    split = {index: "discovery" if place < DISCOVERY else "validation" for place, index in enumerate(shuffled)}
    assert list(cases["cases/split"]) == [split.get(index, "none") for index in range(len(run.cases))]
    assert list(cases["cases/token_begin"]) == [0, *itertools.accumulate(len(case.tokens) for case in run.cases)]
    assert list(cases["cases/token_ids"]) == [token for case in run.cases for token in case.tokens]


def test_noise_has_the_embeddings_deviation(run):
    assert float(run.sweep.meta["sigma"]) == pytest.approx(run.sigma, rel=SIGMA)


def test_base_runs(run):
    for column in ("delta_clean", "delta_noised"):
        expected = np.zeros(len(run.cases))
        expected[run.usable] = [getattr(result, column) for result in run.results]
        np.testing.assert_allclose(run.sweep["cases/" + column], expected, rtol=0, atol=run.tolerance, err_msg=column)


def test_routing(run):
    sites = list(run.sites())
    for column, place in (("case", 0), ("layer", 1), ("run", 2)):
        assert list(run.sweep["routing/" + column]) == [site[place] for site in sites], column
    assert run.sweep["routing/expert"].tolist() == [site.experts for *_, site in sites]
    for column, value in (("weight", lambda site: site.weights), ("gap", lambda site: site.gap),
                          ("contribution_norm", lambda site: site.contributions.norm(dim=1))):
        expected = np.array([np.asarray(value(site)) for *_, site in sites])
        np.testing.assert_allclose(run.sweep["routing/" + column], expected, rtol=0, atol=run.tolerance, err_msg=column)


def test_the_meaning_of_a_column_with_infinities_says_so(run):
    infinite = [name for name, values in run.sweep.columns.items() if values.dtype.kind == "f" and np.isinf(values).any()]
    assert ("routing/gap" in infinite) == (run.model.config.num_experts_per_tok == run.model.config.num_local_experts)
    assert [name for name in infinite if "inf" not in run.sweep.attributes[name]["meaning"]] == []


def test_rows_are_exactly_the_expected_ones(run):
    rows = list(run.rows())
    assert list(run.sweep["rows/case"]) == [index for index, *_ in rows]
    for column in ("layer", "kind", "expert", "clean_active", "noised_active"):
        assert list(run.sweep["rows/" + column]) == [getattr(row, column) for _, row, _ in rows], column
    assert (run.sweep["rows/scale"] == 1).all()
    np.testing.assert_allclose(run.sweep["rows/patch_norm"], [row.patch.norm() for _, row, _ in rows], rtol=0, atol=run.tolerance)


def test_every_rescue(run):
    deltas, rescues = run.sweep["rows/delta"], run.sweep["rows/rescue"]
    np.testing.assert_allclose(deltas, [row.delta for _, row, _ in run.rows()], rtol=0, atol=run.tolerance)
    expected = [row.delta - delta_noised for _, row, delta_noised in run.rows()]
    np.testing.assert_allclose(rescues, expected, rtol=0, atol=run.tolerance)
    assert (rescues == deltas - run.sweep["cases/delta_noised"][run.sweep["rows/case"]]).all()


def test_vectors(run):
    expected = {"outputs": lambda: [site.output for *_, site in run.sites()],
                "patches": lambda: [row.patch for _, row, _ in run.rows()]}[run.vectors]()
    stored = {name: column for name, column in run.sweep.columns.items() if name.startswith("vectors/")}
    assert list(stored) == [{"outputs": "vectors/output", "patches": "vectors/patch"}[run.vectors]]
    np.testing.assert_allclose(*stored.values(), torch.stack(expected), rtol=0, atol=run.tolerance)


def test_union_coalition_is_the_block_but_for_the_shared_expert(run):
    kind = run.sweep["rows/kind"]
    block, union = kind == "block", kind == "coalition_union"
    sites = {(index, layer, name): site for index, layer, name, site in run.sites()}
    if not hasattr(next(iter(reference.moe_blocks(run.model).values())), "shared_experts"):
        np.testing.assert_allclose(run.sweep["rows/rescue"][block], run.sweep["rows/rescue"][union], rtol=0,
                                   atol=TOLERANCES[run.precision]["union"])
        return
    assert np.std(run.sweep["rows/rescue"][block] - run.sweep["rows/rescue"][union]) > 1000 * run.tolerance
    if run.vectors == "patches":
        patches = run.sweep["vectors/patch"]
        where = zip(run.sweep["rows/case"][block], run.sweep["rows/layer"][block])
        change = torch.stack([sites[i, l, "clean"].shared - sites[i, l, "noised"].shared for i, l in where])
        np.testing.assert_allclose(patches[block] - patches[union], change, rtol=0, atol=run.tolerance)


def test_clean_logits_of_all_positions(run):
    tokens = max((run.cases[index].tokens for index in run.usable), key=len)
    done = program.call(run.folder, run.precision, *tokens, tool="all_logits")
    ours = np.array([line.split() for line in done.stdout.splitlines()], float)
    np.testing.assert_allclose(ours, reference.all_logits(run.model, tokens), rtol=0, atol=run.tolerance)


# --- the scan's rules ---


def test_margins_decide_as_the_models_deltas_do(checkpoint, facts_file, tmp_path):
    folder, margin, drop, limit = checkpoint("mixtral"), 0.1, 0.4, 5
    config = program.write_config(tmp_path / "sweep.ini", model__path=folder, cases__path=facts_file(40), cases__limit=limit,
                                  cases__clean_margin=margin, cases__noise_drop=drop, run__out=tmp_path / "run")
    program.call("trace", config)
    sweep = program.Sweep(tmp_path / "run" / "sweep.h5")

    model = reference.load_model(folder, torch.float32)
    sigma = reference.noise_sigma(model, 3.0)
    expected = []
    for case in scanned_cases(folder, 40, bos=1):
        if expected.count("usable") == limit:
            break
        if case.status == "usable":
            clean, noised = reference.base_deltas(model, case, sigma, 0)
            assert min(abs(clean - margin), abs(clean - noised - drop)) > 1e-3  # else another fact is wanted here
            case.status = ("clean_margin_too_small" if clean < margin else
                           "noise_drop_too_small" if clean - noised < drop else "usable")
        expected.append(case.status)
    assert {"clean_margin_too_small", "noise_drop_too_small"} < set(expected) and len(expected) < 40
    assert list(sweep["cases/status"]) == expected


@pytest.mark.parametrize(("name", "setting", "bos"), [("mixtral", "no", None), ("mixtral", "yes", 1), ("qwen3", "yes", 7)])
def test_bos(checkpoint, facts_file, tmp_path, name, setting, bos):
    folder = checkpoints.with_config(checkpoint(name), tmp_path / "model", lambda config: {**config, "bos_token_id": 7})
    config = program.write_config(tmp_path / "sweep.ini", model__path=folder, model__bos=setting, cases__path=facts_file(FACTS),
                                  cases__limit=3, cases__clean_margin="-inf", cases__noise_drop="-inf", run__out=tmp_path / "run")
    program.call("trace", config)
    sweep = program.Sweep(tmp_path / "run" / "sweep.h5")
    assert sweep.meta["bos"] == ("none" if bos is None else str(bos))

    scanned = scanned_cases(folder, FACTS, bos)[:len(sweep["cases/record"])]
    assert list(sweep["cases/token_ids"]) == [token for case in scanned for token in case.tokens]
    assert list(sweep["cases/subject_begin"]) == [case.subject_begin for case in scanned]
    model = reference.load_model(folder, torch.float32)
    sigma = reference.noise_sigma(model, 3.0)
    deltas = [reference.base_deltas(model, case, sigma, 0) if case.status == "usable" else (0, 0) for case in scanned]
    ours = np.stack([sweep["cases/delta_clean"], sweep["cases/delta_noised"]], 1)
    np.testing.assert_allclose(ours, deltas, rtol=0, atol=TOLERANCES["fp32"]["value"])


# --- the reference itself ---


def test_the_references_batch_changes_nothing(checkpoint):
    """The reference puts the patches of a case into one call, a prompt each: here also one call per patch."""
    folder = checkpoint("qwen3")
    case = scanned_cases(folder, FACTS, bos=None)[0]
    model = reference.load_model(folder, torch.float64)
    together, alone = (reference.run_case(model, case, 0.5, NOISE_SEED, batch=batch).rows for batch in (1000, 1))
    assert [row.delta for row in together] == pytest.approx([row.delta for row in alone], abs=1e-10)
