"""The transformers side of the benchmark: base runs that keep what patches are made of, and patched full forwards."""

import pathlib

import torch
from torch.nn.functional import linear, silu
from transformers import AutoModelForCausalLM


class HuggingFace:
    def __init__(self, folder, tokens_of, noise_scale):
        """tokens_of: case id -> (token ids, subject begin, subject end, true id, foil id)."""
        self.model = AutoModelForCausalLM.from_pretrained(pathlib.Path(folder), dtype=torch.float32).eval()
        self.tokens_of = tokens_of
        self.sigma = noise_scale * torch.std(self.model.model.embed_tokens.weight.double()).item()
        self.traces = {}

    def use(self, implementation):
        self.model.config._experts_implementation = implementation

    def embeddings(self, case_id):
        """Clean and noised embeddings [T, D]."""
        tokens, begin, end, _, _ = self.tokens_of[case_id]
        clean = self.model.model.embed_tokens(torch.tensor(tokens))
        noise = torch.randn((end - begin, clean.shape[1]), generator=torch.Generator().manual_seed(case_id)) * self.sigma
        noised = clean.clone()
        noised[begin:end] += noise
        return clean, noised

    def deltas(self, inputs, case_id, hooks):
        """logit(true) - logit(foil) at the last position of inputs [B, T, D], with hooks (layer, hook) on MoE
        blocks."""
        handles = [self.model.model.layers[l].mlp.register_forward_hook(hook) for l, hook in hooks]
        logits = self.model(inputs_embeds=inputs, use_cache=False, logits_to_keep=1).logits[:, -1].double()
        for handle in handles:
            handle.remove()
        _, _, _, true_id, foil_id = self.tokens_of[case_id]
        return (logits[:, true_id] - logits[:, foil_id]).tolist()

    def prepare(self, case_id):
        """Runs a case clean and noised, once, and keeps contributions and outputs of every layer."""
        if case_id in self.traces:
            return
        clean, noised = self.embeddings(case_id)
        sites = [{}, {}]
        for inputs, site in zip((clean, noised), sites):
            def keep(block, args, output, site=site):
                site[block] = contributions(block, args[0][0, -1]), output[0, -1].clone()
            delta = self.deltas(inputs[None], case_id, [(l, keep) for l in range(len(self.model.model.layers))])[0]
        layers = [layer.mlp for layer in self.model.model.layers]
        self.traces[case_id] = noised, delta, [(sites[0][block], sites[1][block]) for block in layers]

    def patched_output(self, case_id, layer, kind, expert):
        """The noised MoE output with the patch added, [D]."""
        (clean, clean_output), (noised, noised_output) = self.traces[case_id][2][layer]
        if kind == "block":
            return clean_output
        members = {"expert": [expert], "coalition_clean": list(clean), "coalition_union": list(clean | noised)}[kind]
        zero = torch.zeros_like(noised_output)
        return noised_output + sum(clean.get(e, zero) - noised.get(e, zero) for e in members)

    def rescues(self, case_id, patches):
        """One forward for patches [(layer, output)] of one case, a copy of its prompt for each."""
        noised, delta_noised, _ = self.traces[case_id]
        copies_at = {}
        for copy, (layer, output) in enumerate(patches):
            copies_at.setdefault(layer, []).append((copy, output))

        def hook(copies):
            places, outputs = torch.tensor([copy for copy, _ in copies]), torch.stack([output for _, output in copies])

            def replace(block, args, output):
                output[places, -1] = outputs
            return replace

        inputs = noised.expand(len(patches), -1, -1).contiguous()
        deltas = self.deltas(inputs, case_id, [(layer, hook(copies)) for layer, copies in copies_at.items()])
        return [delta - delta_noised for delta in deltas]


def contributions(block, h):
    """Expert -> w_e E_e(h) of the routed experts of one position h [D]."""
    _, weights, experts = block.gate(h[None])
    result = {}
    for weight, e in zip(weights[0], experts[0].tolist()):
        gate, up = linear(h, block.experts.gate_up_proj[e]).chunk(2)
        result[e] = weight * linear(silu(gate) * up, block.experts.down_proj[e])
    return result
