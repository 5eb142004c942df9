"""Tiny random checkpoints of every family, written by transformers as the hub has them."""

import dataclasses
import json

import torch
from safetensors.torch import load_file, save_file
from transformers import (Glm4MoeConfig, Glm4MoeForCausalLM, MixtralConfig, MixtralForCausalLM, Qwen3MoeConfig,
                          Qwen3MoeForCausalLM)

import synthetic_facts

FAMILIES = {"qwen3_moe": (Qwen3MoeConfig, Qwen3MoeForCausalLM), "mixtral": (MixtralConfig, MixtralForCausalLM),
            "glm4_moe": (Glm4MoeConfig, Glm4MoeForCausalLM)}
COMMON = {"vocab_size": 416, "hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "tie_word_embeddings": False,
          "max_position_embeddings": 128}


@dataclasses.dataclass
class Recipe:
    """What a checkpoint is made of. Top-k runs from 1 to 8 over the recipes, k = E and GQA ratios 1, 2, 4 among
    them."""
    family: str
    settings: dict
    dtype: torch.dtype = torch.bfloat16
    shard: str = "1GB"  # the largest file; small ones give several and an index
    tokenizer: str = "byte-level"
    next_token_layer: bool = False  # tensors of a layer that predicts the token after the next, to be left alone
    seed: int = 0  # chosen so that no router stands at a near tie, which fp32 may decide either way


RECIPES = {
    # head_dim apart from hidden / heads, a dense layer in between, a size of its own for it
    "qwen3": Recipe("qwen3_moe", dict(num_key_value_heads=2, head_dim=16, intermediate_size=40, moe_intermediate_size=24,
                                      num_experts=8, num_experts_per_tok=3, norm_topk_prob=True, mlp_only_layers=[1],
                                      rope_theta=1e6)),
    "qwen3-sparse-step": Recipe("qwen3_moe", dict(num_key_value_heads=1, head_dim=8, intermediate_size=40,
                                                  moe_intermediate_size=16, num_experts=6, num_experts_per_tok=5,
                                                  norm_topk_prob=False, decoder_sparse_step=2, attention_bias=True,
                                                  tie_word_embeddings=True), dtype=torch.float16),
    "qwen3-all-experts": Recipe("qwen3_moe", dict(num_key_value_heads=4, head_dim=12, moe_intermediate_size=16, num_experts=8,
                                                  num_experts_per_tok=8, norm_topk_prob=False), dtype=torch.float32, shard="60KB"),
    "mixtral": Recipe("mixtral", dict(num_key_value_heads=1, intermediate_size=32, num_local_experts=8, num_experts_per_tok=2,
                                      rope_theta=1e6, sliding_window=None), shard="40KB", tokenizer="sentence-piece"),
    "mixtral-top-1": Recipe("mixtral", dict(num_key_value_heads=2, head_dim=8, intermediate_size=24, num_local_experts=4,
                                            num_experts_per_tok=1, sliding_window=100, tie_word_embeddings=True),
                            dtype=torch.float16),
    "mixtral-top-7": Recipe("mixtral", dict(num_key_value_heads=4, intermediate_size=16, num_local_experts=9,
                                            num_experts_per_tok=7), dtype=torch.float32, seed=1),
    "glm4": Recipe("glm4_moe", dict(num_key_value_heads=2, head_dim=16, intermediate_size=40, moe_intermediate_size=16,
                                    n_routed_experts=16, num_experts_per_tok=4, n_shared_experts=1, n_group=4, topk_group=2,
                                    routed_scaling_factor=2.5, norm_topk_prob=True, first_k_dense_replace=1, attention_bias=True,
                                    use_qk_norm=True, num_nextn_predict_layers=1,
                                    rope_parameters={"rope_type": "default", "rope_theta": 1e6, "partial_rotary_factor": 0.5}),
                   next_token_layer=True),
    "glm4-plain": Recipe("glm4_moe", dict(num_key_value_heads=1, head_dim=16, intermediate_size=40, moe_intermediate_size=16,
                                          n_routed_experts=10, num_experts_per_tok=6, n_shared_experts=2, n_group=1, topk_group=1,
                                          routed_scaling_factor=0.7, norm_topk_prob=False, first_k_dense_replace=2,
                                          attention_bias=False, use_qk_norm=False, tie_word_embeddings=True,
                                          rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.25}),
                         dtype=torch.float32, shard="60KB"),
}
ONE_OF_EACH_FAMILY = ["qwen3", "mixtral", "glm4"]


def make_checkpoint(name, folder):
    """Writes the checkpoint, its tokenizer.json included, into `folder` and returns the folder."""
    recipe = RECIPES[name]
    make_config, make_model = FAMILIES[recipe.family]
    model = make_model(make_config(**{**COMMON, **recipe.settings}))
    fill(model, torch.Generator().manual_seed(recipe.seed))
    correction = {n: b.clone() for n, b in model.named_buffers() if "e_score_correction_bias" in n}
    model.to(recipe.dtype)
    for n, bias in correction.items():
        model.get_buffer(n).data = bias  # fp32 in a bf16 file, as on the hub
    model.save_pretrained(folder, max_shard_size=recipe.shard)
    if recipe.next_token_layer:
        add_next_token_layer(folder, model.config)
    tokenizer = {"byte-level": synthetic_facts.byte_level_tokenizer,
                 "sentence-piece": synthetic_facts.sentence_piece_tokenizer}[recipe.tokenizer]()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@torch.no_grad()
def fill(model, generator):
    """Values of such sizes that every part counts: norms and biases away from 1 and 0, distinct experts, decided
    routers."""
    for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        if "norm" in name:
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif "e_score_correction_bias" in name:
            tensor.normal_(0, 0.2, generator=generator)
        elif "bias" in name:
            tensor.normal_(0, 0.5, generator=generator)
        elif "inv_freq" not in name:
            tensor.normal_(0, 0.3 if ".gate.weight" in name else 0.16, generator=generator)


def add_next_token_layer(folder, config):
    """Puts some tensors of layer L, by the hub's names, into the file: also such as an ordinary layer has."""
    path, prefix, D = folder / "model.safetensors", f"model.layers.{config.num_hidden_layers}.", config.hidden_size
    tensors = load_file(path)
    for name, shape in {"eh_proj.weight": (D, 2 * D), "enorm.weight": (D,), "hnorm.weight": (D,), "input_layernorm.weight": (D,),
                        "mlp.gate.weight": (config.n_routed_experts, D), "shared_head.norm.weight": (D,),
                        "self_attn.o_proj.weight": (D, config.num_attention_heads * config.head_dim)}.items():
        tensors[prefix + name] = torch.ones(shape, dtype=torch.bfloat16)
    save_file(tensors, path, metadata={"format": "pt"})


EXPERT_COUNTS = {"qwen3_moe": "num_experts", "mixtral": "num_local_experts", "glm4_moe": "n_routed_experts"}  # on the hub


def config_with_hub_names(config):
    """config.json as the hub's older files have it: torch_dtype, rope_theta, and the family's own name of the expert
    count."""
    hub = config_with_new_names(config)
    hub["torch_dtype"] = hub.pop("dtype")
    hub.update({key: value for key, value in hub.pop("rope_parameters").items() if key != "rope_type"}, rope_scaling=None)
    hub[EXPERT_COUNTS[hub["model_type"]]] = hub.pop("num_local_experts")
    return hub


def config_with_new_names(config):
    """config.json as a new transformers writes it, with the expert count as num_local_experts in every family."""
    new = dict(config)
    assert "rope_parameters" in new and "dtype" in new
    if EXPERT_COUNTS[new["model_type"]] in new:
        new["num_local_experts"] = new.pop(EXPERT_COUNTS[new["model_type"]])
    return new


def with_config(folder, copy, rewrite):
    """A copy of the checkpoint whose config.json has gone through `rewrite`."""
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).symlink_to(path)
    (copy / "config.json").unlink()
    (copy / "config.json").write_text(json.dumps(rewrite(json.loads((folder / "config.json").read_text()))))
    return copy
