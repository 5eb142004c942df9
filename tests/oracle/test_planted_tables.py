"""The tables of a planted checkpoint's study (planted.py) come out as the closed form says."""
import numpy as np
import pytest

import planted
from planted import A, B, C, LAYER
from planted_run import DISCOVERY, LIMIT, ZERO, four, near, study  # noqa: F401, fixtures among them


# --- the tables of one expert ---


def test_main_results(four):
    validation = four.strict[1]
    table = four.table("main_results").set_index("name")
    rescue, active = four.noised.rescue[validation, LAYER], four.noised.active[validation, LAYER]
    near(table["mean"]["layer_rescue"], four.noised.block[validation, LAYER].mean())
    near(table["mean"]["expert_rescue"], rescue[:, A].mean())
    near(table["mean"]["expert_rescue_active"], rescue[active[:, A], A].mean())
    assert table.n["expert_rescue"] == len(validation) and table.n["expert_rescue_active"] == active[:, A].sum()
    tested = four.table("validation")
    controls = tested[["control_expert_0", "control_expert_1"]].to_numpy()
    expected = np.take_along_axis(rescue, controls, 1).mean(1)
    assert (controls != A).all() and np.take_along_axis(active, controls, 1).all()
    near(tested.spec, rescue[:, A] - expected)
    near(table["mean"]["spec"], (rescue[:, A] - expected).mean())


def test_activity_counts_what_is_exactly_zero(four):
    table = four.table("activity").set_index("half")
    for half, cases in zip(("discovery", "validation"), four.strict):
        active = four.noised.active[cases, LAYER, A]
        inactive = (~active).sum()
        expected = dict(cases=len(cases), active=active.sum(), zero_rescue=inactive, structural=inactive, zero_spec=0)
        assert {name: table[name][half] for name in expected} == expected


def test_tables_4_and_5_count_relations(four):
    validation = four.strict[1]
    for name, cases in (("relations", four.both), ("relation_results", validation)):
        table, relations = four.table(name), four.truth.relation[cases]
        assert sorted(table.relation) == sorted(set(relations)) and (np.diff(table.n) <= 0).all()
        assert all(n == (relations == relation).sum() for relation, n in zip(table.relation, table.n))
    for relation, rescue in zip(table.relation, table.expert_rescue):
        near(rescue, four.noised.rescue[validation[relations == relation], LAYER, A].mean())


def test_layer_gap_and_ratios(four):
    validation = four.strict[1]
    block, layer_gap = four.noised.block[validation].mean(0), four.table("layer_gap").iloc[0]
    order = np.argsort(-block)
    assert (layer_gap.top_layer, layer_gap.next_layer) == tuple(order[:2])
    near([layer_gap.top, layer_gap.next, layer_gap.gap], [block[order[0]], block[order[1]], block[order[0]] - block[order[1]]])
    ratios = four.table("ratios").set_index("quantity").value
    near(ratios["layer_rescue"], block[LAYER])
    near(ratios["expert_over_layer"], four.noised.rescue[validation, LAYER, A].mean() / block[LAYER])
    near(ratios["spec_over_layer"], four.table("validation").spec.mean() / block[LAYER])


def equal_norm(s):
    """Cases of the validation half with A active, A's patch, and what scaling makes of it and of B's."""
    cases = s.strict[1][s.noised.active[s.strict[1], LAYER, A]]
    of_a, of_b = np.abs(s.noised.rescue[cases, LAYER, A]), np.abs(s.noised.unread[cases, LAYER, B])
    assert (s.noised.rescue[cases, LAYER, A] > 0).all()
    return cases, of_a, np.minimum(of_a, of_b)


def test_gate_matched_finds_the_twin_with_nothing(four):
    cases, raw, scaled = equal_norm(four)
    table = four.table("gate_matched").set_index(["quantity", "version"])
    assert (table.n == len(cases)).all() and len(table) == 6
    assert (scaled < raw).any()
    for version, rescue in (("raw", raw), ("equal_norm", scaled)):
        near(table["mean"]["selected", version], rescue.mean())
        near(table["mean"]["spec", version], rescue.mean())
        assert abs(table["mean"]["matched_control", version]) < ZERO
        assert table.positive_fraction["selected", version] == 1
    pairs = four.run.controls[four.run.controls.kind == "equal_norm"]
    assert set(pairs.expert) == {A, B}


def test_ranks_ranks_it_first(four):
    cases, rescue, _ = equal_norm(four)
    (table,) = four.table("ranks").itertuples()
    assert (table.ranked, table.top1, table.top2, table.mean_rank, table.mean_percentile) == (len(cases),) * 3 + (1, 1)
    others = (four.noised.clean_topk[cases, LAYER] - rescue) / 3
    near(table.spec_all_mean, (rescue - others).mean())


def test_two_experts_compares_the_two_experts_of_a_token(study):
    assert len(study(4).table("two_experts")) == 0 and study(4).note("two_experts")
    s = study(2)
    assert s.run.selected_expert == A
    cases, raw, scaled = equal_norm(s)
    assert s.noised.active[cases, LAYER, B].all()
    table = s.table("two_experts").set_index("quantity")
    assert (table.n == len(cases)).all()
    near(table["mean"][["raw_spec", "selected_equal_norm", "equal_norm_spec"]], [raw.mean(), scaled.mean(), scaled.mean()])
    assert abs(table["mean"]["other_equal_norm"]) < ZERO


def test_coalitions_adds_up(four):
    validation = four.strict[1]
    table = four.table("coalitions").set_index("quantity")
    block, top = four.noised.block[validation, LAYER].mean(), four.noised.clean_topk[validation, LAYER].mean()
    near(table["mean"][["clean_topk", "routing_union", "block", "expert"]],
         [top, block, block, four.noised.rescue[validation, LAYER, A].mean()])
    assert abs(top - block) > 0.01  # the noised run routes to G
    assert (table.n == len(validation)).all()


@pytest.mark.parametrize("k", [4, 2])
def test_shapley_values_are_the_experts_own_rescues(study, k):
    s = study(k)
    table = s.table("shapley").set_index("expert")
    assert (table.layer == LAYER).all()
    active, rescue = s.noised.active[s.both, LAYER], s.noised.rescue[s.both, LAYER]
    assert set(table.index) == set(np.flatnonzero(active.any(0)))
    for expert, line in table.iterrows():
        assert line.n == active[:, expert].sum()
        near(line["mean"], rescue[active[:, expert], expert].mean())
        near(line.share, rescue[:, expert].sum() / rescue.sum())
    assert table["mean"][A] == table["mean"][[A, B]].max() and abs(table["mean"][B]) < ZERO
    near(table.share.sum(), 1)
    assert k == 2 or table["mean"][C] < 0
    assert float(s.table("shapley").attrs["largest_residual"]) < 1e-12
    subsets = s.run.controls[s.run.controls.kind == "subset"]
    assert len(subsets) == LIMIT * (2**k - 1)


# --- one expert per token: there is no other to compare with ---


def test_top_1_has_no_control_and_says_so(study):
    s = study(1)
    assert s.run.selected_layer >= 0 and s.run.selected_expert >= 0
    for name in ("gate_matched", "ranks", "two_experts"):
        assert len(s.table(name)) == 0 and len(s.note(name).split()) > 3, name
    tested = s.table("validation")
    assert (tested.controls == 0).all() and tested.spec.isna().all()
    main_results = s.table("main_results").set_index("name")
    assert main_results.n.get("spec", 0) == 0
    near(main_results["mean"]["layer_rescue"], s.noised.block[s.strict[1], s.run.selected_layer].mean())
    shapley = s.table("shapley")
    layer = s.run.selected_layer
    active, rescue = s.noised.active[s.both, layer], s.noised.rescue[s.both, layer]
    near(shapley["mean"], [rescue[active[:, e], e].mean() for e in shapley.expert])
