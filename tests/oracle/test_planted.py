"""The whole study of a planted checkpoint: cases, rows and selections come out as the closed form says."""
import functools
import random

import numpy as np
import pytest
import torch

import planted
from planted import A, B, C, LAYER, R, X
from planted_run import (DISCOVERY, LIMIT, RECURRENCE, RELAXED, best_expert, four, halves, near, select,
                         study)  # noqa: F401, fixtures among them


# --- the planted checkpoint itself ---


def test_transformers_agrees_with_the_closed_form(tmp_path):
    from transformers import AutoModelForCausalLM
    truth = planted.Planted(tmp_path / "model", 24, 4)
    model = AutoModelForCausalLM.from_pretrained(truth.folder, dtype=torch.float32)
    deltas = []
    for fact, (tokens, _) in zip(truth.facts, truth.prompts):
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -1].double()
        true, foil = (truth.tokenizer.token_to_id("\u0120" + fact["requested_rewrite"][target]["str"])
                      for target in ("target_true", "target_new"))
        deltas.append((logits[true] - logits[foil]).item())
    np.testing.assert_allclose(deltas, truth.closed_form().delta_clean, rtol=1e-5, atol=1e-5)


def test_what_is_planted(four):
    """The roles are as planted.py says: otherwise the tests below would show little."""
    noised, (discovery, _) = four.noised, four.strict
    here = noised.active[four.both, LAYER]
    assert 0.5 < here[:, A].mean() < 0.9 and (here[:, A] != here[:, R]).all() and here[:, B].all()
    assert 0 < here[:, planted.G].mean() < 0.5
    assert select(noised, discovery, RECURRENCE) == (LAYER, A)
    mean = noised.rescue[discovery].mean(0)
    assert mean[1, X] > mean[LAYER, A] > -mean[LAYER, C] > 0
    assert not np.allclose(noised.clean_topk, noised.block)


# --- the sweep ---


def test_cases_and_every_row(four):
    cases, base, rows, noised = four.run.cases, four.run.base, four.run.rows, four.noised
    swept = np.union1d(np.concatenate(four.strict), np.concatenate(four.relaxed))
    assert (cases.case_id == four.truth.case_id[:len(cases)]).all()
    assert (base.case == swept).all()
    near(base.delta_clean, noised.delta_clean[swept])
    near(base.delta_noised, noised.delta_noised[swept])
    for kind, expected in (("block", noised.block), ("coalition_clean", noised.clean_topk), ("coalition_union", noised.block)):
        of_kind = rows[rows.kind == kind]
        assert len(of_kind) == len(swept) * planted.LAYERS
        near(of_kind.rescue, expected[of_kind.case, of_kind.layer])
    clean = rows[(rows.kind == "expert") & (rows.clean_active == 1)]
    assert len(clean) == noised.active[swept].sum()
    near(clean.rescue, noised.rescue[clean.case, clean.layer, clean.expert])
    routing = four.run.routing[four.run.routing.run == "clean"]
    weights = noised.weight[routing.case, routing.layer]
    for slot in range(4):
        near(routing[f"weight_{slot}"], np.take_along_axis(weights, routing[[f"expert_{slot}"]].to_numpy(), 1)[:, 0])


def test_halves(four):
    split, relaxed = four.run.cases.split, four.run.cases.relaxed_split
    for i, half in enumerate(("discovery", "validation")):
        assert (np.flatnonzero(split == half) == four.strict[i]).all()
        assert (np.flatnonzero(relaxed == half) == four.relaxed[i]).all()
    order = list(four.both)
    random.Random(0).shuffle(order)
    split_cases = four.table("split_cases")
    assert (split_cases.case_id == four.truth.case_id[order]).all()
    assert (split_cases.split == np.repeat(["discovery", "validation"], [DISCOVERY, LIMIT - DISCOVERY])).all()


# --- selection ---


@pytest.mark.parametrize("k", [4, 2, 1])
def test_selection(study, k):
    s = study(k)
    discovery, validation = s.strict
    layer, expert = select(s.noised, discovery, RECURRENCE)
    assert (s.run.selected_layer, s.run.selected_expert) == (layer, expert)
    near(s.table("layers").discovery_mean, s.noised.block[discovery].mean(0))
    near(s.table("layers").validation_mean, s.noised.block[validation].mean(0))
    candidates = s.table("candidates")
    assert len(candidates) > 0
    active = s.noised.active[:, layer]
    assert (candidates.discovery_active == active[discovery].sum(0)[candidates.expert]).all()
    assert (candidates.validation_active == active[validation].sum(0)[candidates.expert]).all()
    near(candidates.discovery_rescue, s.noised.rescue[discovery, layer].mean(0)[candidates.expert])


def test_joint_selection_finds_the_expert_of_another_layer(four):
    discovery, validation = four.strict
    joint, noised = four.table("joint"), four.noised
    recurrent = noised.active[discovery].sum(0) >= RECURRENCE
    assert recurrent.sum() <= 20 and len(joint) == recurrent.sum()
    assert list(zip(joint.layer[:2], joint.expert[:2])) == [(1, X), (LAYER, A)]
    assert (np.diff(joint.discovery_rescue) <= 0).all()
    assert recurrent[joint.layer, joint.expert].all() and not joint.duplicated(["layer", "expert"]).any()
    assert (joint.discovery_active == noised.active[discovery].sum(0)[joint.layer, joint.expert]).all()
    near(joint.discovery_rescue, noised.rescue[discovery].mean(0)[joint.layer, joint.expert])
    near(joint.validation_rescue, noised.rescue[validation].mean(0)[joint.layer, joint.expert])


def test_the_best_expert_of_each_layer(four):
    best = four.table("layer_best")
    assert list(best.layer) == [0, 1, 2, 3]
    assert list(best.expert[1:]) == [X, A, planted.Z]
    near(best.rescue_mean, four.noised.rescue[four.strict[1]].mean(0)[best.layer, best.expert])
    assert (best.rescue_n == LIMIT - DISCOVERY).all()


# --- other splits, other noise, other filters ---


def test_stability_under_other_splits(four):
    table = four.table("stability")
    assert list(zip(table.seed, table.threshold)) == [(seed, least) for seed in (0, 1, 2) for least in (8, 24, 48)]
    for line in table.itertuples():
        discovery, validation = halves(four.both, DISCOVERY, line.seed)
        assert (line.layer, line.expert) == select(four.noised, discovery, line.threshold)
        assert line.expert_at_main_layer == best_expert(four.noised, LAYER, discovery, line.threshold)
        near(line.rescue_mean, four.noised.rescue[validation, LAYER, line.expert_at_main_layer].mean())
    assert (table.expert_at_main_layer[table.threshold < 48] == A).all()
    assert (table.expert_at_main_layer[table.threshold == 48] == B).all()  # in every case, for nothing


def test_relation_folds(four):
    table = four.table("relation_folds")
    relation, by_n = four.truth.relation[four.both], four.table("relations").relation
    experts, rescues = [], []
    for fold, name in enumerate(by_n):
        line, held_out = table.iloc[fold], four.both[relation == name]
        experts.append(best_expert(four.noised, LAYER, four.both[relation != name], RECURRENCE))
        rescues += list(four.noised.rescue[held_out, LAYER, experts[-1]])
        assert (line.fold, line.relations, line.held_out, line.expert) == (fold, name, len(held_out), experts[-1])
        assert line.active == four.noised.active[held_out, LAYER, experts[-1]].sum()
        near(line.rescue_mean, four.noised.rescue[held_out, LAYER, experts[-1]].mean())
    assert set(experts) == {A, R}  # without half of A's cases, those of its stand-in count for more
    pooled = table.iloc[3]
    assert (pooled.fold, pooled.held_out, pooled.expert) == (-1, LIMIT, -1)
    near(pooled.rescue_mean, np.mean(rescues))


@pytest.fixture(scope="module")
def under(four):
    return functools.cache(four.truth.closed_form)


def test_noise_scales_at_other_scales(four, under):
    discovery, validation = four.strict
    table = four.table("noise_scales")
    assert list(zip(table.scale, table.selection)) == [(s, how) for s in (1, 2, 3, 4) for how in ("fixed", "anew")]
    for line in table.itertuples():
        noised = under(scale=line.scale)
        assert (line.layer, line.expert) == ((LAYER, A) if line.selection == "fixed" else select(noised, discovery, RECURRENCE))
        assert line.n == len(validation) and line.active == noised.active[validation, line.layer, line.expert].sum()
        near(line.mean_drop, (noised.delta_clean - noised.delta_noised)[validation].mean())
        near(line.rescue_mean, noised.rescue[validation, line.layer, line.expert].mean())
        assert line.rescue_positive_fraction == (noised.rescue[validation, line.layer, line.expert] > 0).mean()


def test_draws_differ_as_they_must(four, under):
    table = four.table("draws")
    expected = [under(draw=draw).block[four.strict[1], LAYER].mean() for draw in (0, 1)]
    assert list(table.draw) == [0, 1] and abs(expected[0] - expected[1]) > 1e-3
    near(table.layer_rescue, expected)
    near(table.expert_rescue, [under(draw=draw).rescue[four.strict[1], LAYER, A].mean() for draw in (0, 1)])
    near(float(four.table("draws").attrs["layer_rescue_sd"]), np.std(expected, ddof=1))


def test_tables_14_and_15_of_the_relaxed_study(four):
    discovery, validation = four.relaxed
    relaxed, facts = four.table("relaxed").set_index("quantity"), four.table("relaxed").attrs
    layer, expert = select(four.noised, discovery, RELAXED // 4)
    assert (int(facts["layer"]), int(facts["expert"])) == (layer, expert) == (LAYER, A)
    assert int(facts["discovery_active"]) == four.noised.active[discovery, layer, expert].sum()
    near(relaxed["mean"]["layer_rescue"], four.noised.block[validation, layer].mean())
    near(relaxed["mean"]["expert_rescue"], four.noised.rescue[validation, layer, expert].mean())
    relaxed_transfer = four.table("relaxed_transfer").set_index(["subset", "quantity"])
    for subset, cases in (("all", validation), ("new", np.setdiff1d(validation, four.both))):
        assert relaxed_transfer.n[subset, "expert_rescue"] == len(cases) > 0
        near(relaxed_transfer["mean"][subset, "layer_rescue"], four.noised.block[cases, LAYER].mean())
        near(relaxed_transfer["mean"][subset, "expert_rescue"], four.noised.rescue[cases, LAYER, A].mean())
