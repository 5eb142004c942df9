"""The transformers side of the oracle: base runs with hooks on the MoE blocks, and a full forward for every patch.

Contributions c_e = w_e E_e(h) are computed again, one by one, from each block's captured input with the module's own
weights. """

import dataclasses

import torch
import transformers
from torch.nn.functional import linear

torch.set_num_threads(1)  # tiny products: threads cost more than they give
transformers.logging.set_verbosity_error()  # tensors that no module takes are meant here
transformers.logging.disable_progress_bar()


def load_model(folder, dtype):
    """The checkpoint with every step spelt out (eager), in torch.float32, torch.float64 or torch.bfloat16."""
    loaded = torch.bfloat16 if dtype == torch.bfloat16 else torch.float32  # rotary frequencies are fp32 then
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=loaded, attn_implementation="eager",
                                                 experts_implementation="eager")
    return model.to(dtype).eval() if dtype == torch.float64 else model.eval()


def moe_blocks(model):
    """Layer -> MoE block."""
    return {l: layer.mlp for l, layer in enumerate(model.model.layers) if hasattr(layer.mlp, "experts")}


@dataclasses.dataclass
class Site:
    """What a base run leaves at the last position of one MoE layer, experts by descending weight."""
    experts: list
    weights: torch.Tensor        # [K]
    contributions: torch.Tensor  # [K, D]
    shared: torch.Tensor         # [D] output of the shared expert, zero where there is none
    output: torch.Tensor         # [D] of the whole block
    gap: float                   # selection score of rank K minus rank K + 1


@dataclasses.dataclass
class Row:
    layer: int
    kind: str
    expert: int
    clean_active: bool
    noised_active: bool
    patch: torch.Tensor  # [D]
    delta: float = float("nan")


@dataclasses.dataclass
class CaseResult:
    delta_clean: float
    delta_noised: float
    sites: dict  # (layer, "clean" or "noised") -> Site
    rows: list   # in the order of the file: layer, kind, expert


def noise_sigma(model, scale):
    """scale x unbiased standard deviation of the whole embedding matrix."""
    return scale * torch.std(model.model.embed_tokens.weight.detach().double()).item()


def embeddings(model, case, sigma, noise_seed):
    """Clean and noised input embeddings [T, D]: the noise falls on the subject's tokens."""
    clean = model.model.embed_tokens(torch.tensor(case.tokens))
    tokens = case.subject_end - case.subject_begin
    generator = torch.Generator().manual_seed(noise_seed + case.case_id)
    noise = torch.randn((tokens, clean.shape[1]), generator=generator) * sigma
    noised = clean.clone()
    noised[case.subject_begin:case.subject_end] += noise.to(clean.dtype)
    return clean, noised


def forward(model, inputs, hooks=()):
    """Last-position logits [B, V] of input embeddings [B, T, D], with hooks on modules for the time of the call."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        return model(inputs_embeds=inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
    finally:
        for handle in handles:
            handle.remove()


def preference(logits, case):
    """logit(true) - logit(foil), in double."""
    return (logits[..., case.true_id].double() - logits[..., case.foil_id].double()).tolist()


def base_run(model, inputs, case):
    """Returns delta and the site of every MoE layer."""
    sites = {}

    def capture(layer):
        def hook(block, args, output):
            sites[layer] = make_site(block, args[0][0, -1], output[0, -1])
        return hook

    blocks = moe_blocks(model)
    logits = forward(model, inputs[None], [(block, capture(l)) for l, block in blocks.items()])
    return preference(logits[0], case), sites


def make_site(block, h, output):
    router_logits, weights, experts = block.gate(h[None])
    order = torch.argsort(weights[0], descending=True)
    experts, weights = experts[0][order].tolist(), weights[0][order]
    contributions = torch.stack([w * expert_output(block.experts, e, h) for e, w in zip(experts, weights.to(h.dtype))])
    shared = block.shared_experts(h) if hasattr(block, "shared_experts") else torch.zeros_like(h)
    return Site(experts, weights, contributions, shared, output.clone(), gap(block.gate, router_logits[0]))


def expert_output(experts, e, h):
    gate, up = linear(h, experts.gate_up_proj[e]).chunk(2)
    return linear(torch.nn.functional.silu(gate) * up, experts.down_proj[e])


def gap(router, logits):
    """How far the last chosen expert was ahead of the first one not chosen, in what the selection compares."""
    if not hasattr(router, "e_score_correction_bias"):
        scores = torch.softmax(logits.float(), -1)
    else:
        scores = torch.sigmoid(logits.float()) + router.e_score_correction_bias
        groups = scores.view(router.num_group, -1)
        best = sorted(range(router.num_group), key=lambda g: -groups[g].topk(2).values.sum())[:router.topk_group]
        scores = torch.cat([groups[g] for g in best])
    ranked = sorted(scores.tolist(), reverse=True)
    return ranked[router.top_k - 1] - ranked[router.top_k] if router.top_k < len(ranked) else float("inf")


def make_rows(clean, noised, layer):
    """Every row that a full sweep has at a site, with its patch (paper, eq. 6)."""
    def contribution(site, e):
        return site.contributions[site.experts.index(e)] if e in site.experts else torch.zeros_like(site.output)

    union = sorted({*clean.experts, *noised.experts})
    patch = {e: contribution(clean, e) - contribution(noised, e) for e in union}
    yield Row(layer, "block", -1, False, False, clean.output - noised.output)
    for e in union:
        yield Row(layer, "expert", e, e in clean.experts, e in noised.experts, patch[e])
    yield Row(layer, "coalition_clean", -1, False, False, sum(patch[e] for e in clean.experts))
    yield Row(layer, "coalition_union", -1, False, False, sum(patch.values()))


def patched_deltas(model, inputs, case, rows, sites, batch):
    """delta of each row: a full forward of the noised prompt in which the block's last output is noised output + patch.

    `batch` rows share a call, each with a prompt of its own.
    """
    deltas = []
    for first in range(0, len(rows), batch):
        chunk = rows[first:first + batch]

        def replace(layer):
            here = [i for i, row in enumerate(chunk) if row.layer == layer]

            def hook(block, args, output):
                output = output.clone()
                for i in here:
                    output[i, -1] = sites[layer].output + chunk[i].patch
                return output
            return hook

        hooks = [(block, replace(l)) for l, block in moe_blocks(model).items()]
        deltas += preference(forward(model, inputs.expand(len(chunk), -1, -1), hooks), case)
    return deltas


@torch.no_grad()
def run_case(model, case, sigma, noise_seed, batch=1000):
    """Base runs, and every row of a full sweep of one case."""
    clean_inputs, noised_inputs = embeddings(model, case, sigma, noise_seed)
    delta_clean, clean = base_run(model, clean_inputs, case)
    delta_noised, noised = base_run(model, noised_inputs, case)
    rows = [row for layer in clean for row in make_rows(clean[layer], noised[layer], layer)]
    for row, delta in zip(rows, patched_deltas(model, noised_inputs, case, rows, noised, batch)):
        row.delta = delta
    sites = {(layer, run): site for run, found in (("clean", clean), ("noised", noised)) for layer, site in found.items()}
    return CaseResult(delta_clean, delta_noised, sites, rows)


@torch.no_grad()
def base_deltas(model, case, sigma, noise_seed):
    """delta of the clean and of the noised run."""
    return tuple(base_run(model, inputs, case)[0] for inputs in embeddings(model, case, sigma, noise_seed))


@torch.no_grad()
def all_logits(model, tokens):
    """Clean logits [T, V] of all positions."""
    return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double()
