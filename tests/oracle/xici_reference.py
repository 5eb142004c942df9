"""The transformers side of the second method's oracle: generate() on one prompt at a time, without padding, with hooks
on the routers. An expert is deactivated within the router's own forward: the logits that its product gives are replaced
before the selection, or, for a ban, what the selection compares."""

import dataclasses

import torch
from torch.overrides import TorchFunctionMode

import reference


@dataclasses.dataclass
class Answer:
    tokens: list
    gaps: list               # of each token: its logit minus the next best one's
    prompt: torch.Tensor     # [MoE layers, E] mean gate weight over the prompt's tokens, 0 where an expert was not routed
    answer: torch.Tensor     # the same over the answer's tokens that were fed; 0 if there are none
    prompt_tokens: int
    answer_tokens: int
    # Choices of a deactivated expert. In the last layer nothing depends on a prompt's tokens but the last: they do not
    # count.
    disobeyed: int
    router_gap: float        # the nearest choice of any router: between experts, or between groups of them


class Routers(TorchFunctionMode):
    """While it is entered: collects what the routers choose, and deactivates `experts`, pairs (layer, expert), `by`
    minimum, minus-infinity or ban."""

    def __init__(self, model, experts, by):
        super().__init__()
        self.gates = {layer: block.gate for layer, block in reference.moe_blocks(model).items()}
        self.count, self.last = model.config.num_local_experts, model.config.num_hidden_layers - 1
        self.off = {layer: torch.zeros(self.count, dtype=torch.bool) for layer in self.gates}
        for layer, expert in experts:
            self.off[layer][expert] = True
        self.by, self.layer, self.router_gap, self.disobeyed = by, None, float("inf"), 0
        self.weights = {layer: [] for layer in self.gates}  # one [T, E] a forward call

    def __enter__(self):
        self.handles = [handle for layer, gate in self.gates.items()
                        for handle in (gate.register_forward_pre_hook(self.entering(layer)),
                                       gate.register_forward_hook(self.left(layer)))]
        return super().__enter__()

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()
        return super().__exit__(*error)

    def entering(self, layer):
        def hook(gate, args):
            self.layer = layer
        return hook

    def left(self, layer):
        def hook(gate, args, output):
            _, weights, experts = output
            self.layer = None
            counted = experts[-1:] if layer == self.last else experts
            self.disobeyed += self.off[layer][counted].sum().item()
            self.weights[layer].append(torch.zeros(len(experts), self.count, dtype=torch.float64)
                                       .scatter(1, experts, weights.double()))
        return hook

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.layer is None or function.__name__ not in ("linear", "topk"):
            return function(*args, **kwargs)
        off = self.off[self.layer]
        if function.__name__ == "linear":
            return self.with_logits_replaced(function(*args, **kwargs), off)
        scores, k = args[0], kwargs["k"] if "k" in kwargs else args[1]
        if self.by == "ban" and scores.shape[-1] == self.count:
            scores = scores.masked_fill(off, -torch.inf)
        if scores.dim() == 3:  # the best two of each group of experts, of which the sum is its score
            two = torch.topk(scores.masked_fill(off.view(scores.shape[1:]) & (self.by == "ban"), -torch.inf), k)
            alone = two.values[..., 1].isinf()
            two.values[..., 1][alone] = 0
            return two
        ranked = scores.sort(descending=True).values
        if k < ranked.shape[-1]:
            self.router_gap = min(self.router_gap, (ranked[:, k - 1] - ranked[:, k]).min().item())
        return torch.topk(scores, k)

    def with_logits_replaced(self, logits, off):
        if self.by == "minus-infinity":
            return logits.masked_fill(off, -torch.inf)
        return torch.where(off, logits.min(-1, keepdim=True).values, logits) if self.by == "minimum" else logits

    def means(self, calls):
        """[MoE layers, E] mean over the tokens of some forward calls, and their number."""
        chosen = [torch.cat(of[calls]) if of[calls] else torch.zeros(0, self.count) for of in self.weights.values()]
        return torch.stack([of.sum(0) / max(len(of), 1) for of in chosen]), len(chosen[0])


@torch.no_grad()
def ask(model, prompt, max_tokens, experts=(), by="minimum"):
    """The greedy answer to a prompt's tokens."""
    with Routers(model, experts, by) as routers:
        made = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
                              max_new_tokens=max_tokens, return_dict_in_generate=True, output_logits=True)
    best_two = torch.cat(made.logits).double().topk(2).values
    prompt_means, prompt_tokens = routers.means(slice(0, 1))
    answer_means, answer_tokens = routers.means(slice(1, None))
    return Answer(made.sequences[0, len(prompt):].tolist(), (best_two[:, 0] - best_two[:, 1]).tolist(), prompt_means, answer_means,
                  prompt_tokens, answer_tokens, routers.disobeyed, routers.router_gap)
