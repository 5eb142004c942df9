"""A small Qwen3-MoE for training on a CPU, with the hub's tensor names and config keys on export.

transformers evaluates experts one by one, which is slow in training. Here all experts of a layer are one wide gated
MLP whose inner units are scaled by their expert's routing weight (0 where not routed): the same function and gradients,
three matrix products a layer. The export cuts the wide matrices into the hub's per-expert tensors.

Shapes: B sentences, T tokens, D hidden, H/Hkv heads, Dh head size, E experts, F inner size, V vocabulary.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """The geometry; names as in Hugging Face's config.json."""

    vocab_size: int
    hidden_size: int = 96
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 32
    num_experts: int = 8
    num_experts_per_tok: int = 4
    moe_intermediate_size: int = 48
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    max_position_embeddings: int = 64
    router_aux_loss_coef: float = 0.01


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, halves convention; x is (B, heads, T, Dh), cos and sin are (T, Dh)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        width, heads, kv_heads = shape.head_dim, shape.num_attention_heads, shape.num_key_value_heads
        self.head_dim = width
        self.q_proj = nn.Linear(shape.hidden_size, heads * width, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, kv_heads * width, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, kv_heads * width, bias=False)
        self.o_proj = nn.Linear(heads * width, shape.hidden_size, bias=False)
        self.q_norm = RMSNorm(width, shape.rms_norm_eps)
        self.k_norm = RMSNorm(width, shape.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        split = lambda y: y.unflatten(-1, (-1, self.head_dim))  # (B, T, heads, Dh)
        q = rotate(self.q_norm(split(self.q_proj(x))).transpose(1, 2), cos, sin)
        k = rotate(self.k_norm(split(self.k_proj(x))).transpose(1, 2), cos, sin)
        v = split(self.v_proj(x)).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).flatten(2))


class SparseMoe(nn.Module):
    """Top-k softmax routing, renormalised, over experts stored side by side."""

    def __init__(self, shape: Shape):
        super().__init__()
        wide = shape.num_experts * shape.moe_intermediate_size
        self.experts, self.top_k = shape.num_experts, shape.num_experts_per_tok
        self.gate = nn.Linear(shape.hidden_size, shape.num_experts, bias=False)
        self.gate_proj = nn.Linear(shape.hidden_size, wide, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, wide, bias=False)
        self.down_proj = nn.Linear(wide, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output and its load-balancing loss (top_k where the experts are used evenly)."""
        chances = self.gate(x).softmax(-1)  # (B, T, E)
        top, chosen = chances.topk(self.top_k, dim=-1)
        weights = torch.zeros_like(chances).scatter(-1, chosen, top / top.sum(-1, keepdim=True))
        inner = F.silu(self.gate_proj(x)) * self.up_proj(x)  # (B, T, E * F)
        inner = (inner.unflatten(-1, (self.experts, -1)) * weights.unsqueeze(-1)).flatten(-2)
        load = (weights > 0).float().mean((0, 1))
        return self.down_proj(inner), self.experts * (load * chances.mean((0, 1))).sum()


class Layer(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.mlp = SparseMoe(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        y, balance = self.mlp(self.post_attention_layernorm(x))
        return x + y, balance


class Model(nn.Module):
    """Qwen3-MoE, untied. `forward` returns the residual after every layer, so that early exits can be trained."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
        pairs = torch.arange(0, shape.head_dim, 2) / shape.head_dim
        angles = torch.outer(torch.arange(shape.max_position_embeddings), shape.rope_theta ** -pairs)
        angles = torch.cat((angles, angles), dim=-1)  # (positions, Dh)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids: Tensor) -> tuple[list[Tensor], Tensor]:
        """ids (B, T) without padding -> the residuals (B, T, D) after each layer, the mean load-balancing loss."""
        cos, sin = self.cos[:ids.shape[1]], self.sin[:ids.shape[1]]
        x, residuals, balance = self.embed_tokens(ids), [], []
        for layer in self.layers:
            x, b = layer(x, cos, sin)
            residuals.append(x)
            balance.append(b)
        return residuals, torch.stack(balance).mean()

    def logits(self, residual: Tensor) -> Tensor:
        return self.lm_head(self.norm(residual))

    @torch.no_grad()
    def round_to_bf16(self) -> None:
        """Make the weights in memory those that the checkpoint holds."""
        for p in self.parameters():
            p.copy_(p.bfloat16())


def hub_tensors(model: Model) -> dict[str, Tensor]:
    """The weights in bf16 under the hub's names, one tensor per expert and projection."""
    experts, tensors = model.shape.num_experts, {}
    for name, value in model.state_dict().items():
        if name != "lm_head.weight":
            name = "model." + name
        head, _, projection = name.partition(".mlp.")
        if projection and projection != "gate.weight":
            # gate and up stack their experts in rows, down in columns
            pieces = value.chunk(experts, dim=1 if projection == "down_proj.weight" else 0)
            tensors |= {f"{head}.mlp.experts.{e}.{projection}": piece for e, piece in enumerate(pieces)}
        else:
            tensors[name] = value
    return {name: value.bfloat16().contiguous() for name, value in tensors.items()}


def save_model(model: Model, folder: Path) -> None:
    """config.json with the hub's keys, and model.safetensors."""
    shape = model.shape
    config = {
        "architectures": ["Qwen3MoeForCausalLM"],
        "model_type": "qwen3_moe",
        **vars(shape),
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "decoder_sparse_step": 1,
        "eos_token_id": 0,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "intermediate_size": shape.num_experts_per_tok * shape.moe_intermediate_size,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "output_router_logits": False,
        "rope_scaling": None,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(hub_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
