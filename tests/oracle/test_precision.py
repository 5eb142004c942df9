"""The precisions that keep matrices in bf16: base runs against transformers in fp64 and in bf16. test_sweep.py compares
every number of split."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

import checkpoints
import program
import reference
import synthetic_facts

pytestmark = pytest.mark.numerics

FACTS, SEED = 60, 5


@pytest.fixture(scope="module", params=checkpoints.ONE_OF_EACH_FAMILY)
def family(request, checkpoint):
    return checkpoint(request.param)


def base_deltas(folder, facts, work, precision):
    """Clean and noised delta of every usable case: [cases, 2]."""
    config = program.write_config(work / f"{precision}.ini", model__path=folder, model__precision=precision, cases__path=facts,
                                  model__bos="no", cases__limit=0, cases__clean_margin="-inf", cases__noise_drop="-inf",
                                  cases__discovery=10, noise__seed=SEED, sweep__experts="none", sweep__coalitions="none",
                                  select__recurrence=1, run__out=work / precision)
    program.call("trace", config)
    sweep = program.Sweep(work / precision / "sweep.h5")
    usable = sweep["cases/status"] == "usable"
    return np.stack([sweep["cases/delta_clean"][usable], sweep["cases/delta_noised"][usable]], 1)


@torch.no_grad()
def of_transformers(folder, dtype):
    """The same by transformers, but for the head, which is in double as ours is."""
    model = reference.load_model(folder, dtype)
    sigma = reference.noise_sigma(model, 3.0)
    head = model.lm_head.weight.double()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    deltas = []
    for case in synthetic_facts.scanned_cases(tokenizer, synthetic_facts.make_facts(FACTS), None):
        if case.status == "usable":
            last = [model.model(inputs_embeds=run[None], use_cache=False).last_hidden_state[0, -1].double()
                    for run in reference.embeddings(model, case, sigma, SEED)]
            deltas.append([float(run @ (head[case.true_id] - head[case.foil_id])) for run in last])
    return np.array(deltas)


def mean_distance(a, b):
    return np.abs(a - b).mean()


def test_the_precisions_beside_transformers(family, facts_file, tmp_path):
    """Seen on AVX2, AVX-512 and AMX, as means over a family's deltas: split 4e-7 to 9e-7 from fp64 (6e-6 at most), fast
    7e-3 to 2.3e-2; transformers in bf16 2e-2 to 8e-2 from fp64, and parity 0 to 1.4e-4 from it."""
    ours = {name: base_deltas(family, facts_file(FACTS), tmp_path, name) for name in ("fp32", "split", "fast", "parity")}
    exact, bf16 = of_transformers(family, torch.float64), of_transformers(family, torch.bfloat16)
    assert len(exact) > 40 and np.std(exact) > 0.5
    # Between what was seen and what a wrong precision would give: parity with one sum in another order was half as far
    # as fp32.
    assert (ours["split"] == ours["fp32"]).all()
    assert np.abs(ours["split"] - exact).max() < 2e-5
    assert 1000 * mean_distance(ours["split"], exact) < mean_distance(ours["fast"], exact) < 0.1
    assert mean_distance(ours["parity"], bf16) < 0.1 * mean_distance(ours["fp32"], bf16)
