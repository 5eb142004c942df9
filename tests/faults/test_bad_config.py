"""A config.json that cannot be, or asks for what is not supported: one line that names file and field, exit 65."""

import pytest

from tiny import OPENED, refused


@pytest.mark.parametrize(("settings", "words"), [
    ({"model_type": "llama"}, "model_type: 'llama' is not supported, expected one of qwen3_moe, mixtral, glm4_moe"),
    ({"num_attention_heads": 3, "head_dim": None}, "num_attention_heads: 3 does not divide hidden_size 16"),
    ({"num_experts_per_tok": 5}, "num_experts_per_tok: 5 of only 4 experts"),
    ({"rope_scaling": {"type": "yarn", "factor": 4}}, "rope_scaling: type: rope scaling 'yarn' is not supported"),
    ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config: quantised weights are not supported"),
    ({"hidden_act": "gelu"}, "hidden_act: 'gelu' is not supported, expected silu"),
    ({"hidden_size": "16"}, 'hidden_size: unexpected value "16"'),
], ids=lambda x: next(iter(x)) if isinstance(x, dict) else "")
def test_unsupported_config(inputs, ranks, settings, words):
    inputs.config |= settings
    refused(inputs.write().folder, ranks, 65, "model/config.json: " + words)


@pytest.mark.parametrize(("settings", "words"), [
    ({"model_type": 3}, "model_type: unexpected value 3"),
    ({"num_attention_heads": 3, "num_key_value_heads": 2}, "num_key_value_heads: 2 does not divide num_attention_heads 3"),
    ({"num_experts_per_tok": 0}, "num_experts_per_tok: expected a whole number from 1 to 1000000000, got 0"),
    ({"num_experts_per_tok": None}, "num_experts_per_tok: null, expected a value"),
    ({"hidden_size": 16.5}, "hidden_size: unexpected value 16.5"),
    ({"hidden_size": -16}, "hidden_size: expected a whole number from 1 to 1000000000, got -16"),
    ({"num_hidden_layers": 2**63}, "num_hidden_layers: expected a whole number from 1 to 1000"),
    ({"num_hidden_layers": 10**9}, "num_hidden_layers: expected a whole number from 1 to 1000"),
    ({"num_experts": 10**9}, "num_experts: expected a whole number from 1 to 10000"),
    ({"mlp_only_layers": 1}, "mlp_only_layers: expected a list"),
    ({"head_dim": 7}, "head_dim: 7 of 7 head dimensions cannot be rotated"),
    ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_parameters: rope_type: rope scaling 'yarn' is not supported"),
    ({"rope_scaling": 4}, "rope_scaling: not an object"),
    ({"rope_theta": 0}, "rope_theta: must be > 0"),
    ({"rope_theta": "1e4"}, 'rope_theta: unexpected value "1e4"'),
    ({"rms_norm_eps": -1e-6}, "rms_norm_eps: must be > 0"),
    ({"norm_topk_prob": "yes"}, 'norm_topk_prob: unexpected value "yes"'),
    ({"mlp_only_layers": [2]}, "mlp_only_layers: there is no layer 2"),
    ({"mlp_only_layers": [0.5]}, "mlp_only_layers: there is no layer 0.5"),
    ({"use_sliding_window": True, "sliding_window": 0}, "sliding_window: expected a whole number from 1 to 1000000000, got 0"),
    ({"model_type": "glm4_moe", "partial_rotary_factor": 1e300}, "partial_rotary_factor: expected a number in (0, 1], got 1e+300"),
    ({"model_type": "glm4_moe", "n_group": 3, "intermediate_size": 8, "n_routed_experts": 4}, "n_group: 4 experts do not fall into 3 groups"),
    ({"model_type": "glm4_moe", "first_k_dense_replace": 3}, "first_k_dense_replace: 3 of 2 layers"),
], ids=lambda x: str(x) if isinstance(x, dict) else "")
def test_config_value_that_cannot_be(inputs, settings, words):
    inputs.config |= settings
    refused(inputs.write().folder, 1, 65, "model/config.json: " + words)


def test_prompt_longer_than_the_sliding_window(inputs, ranks):
    inputs.config |= {"use_sliding_window": True, "sliding_window": 4}
    refused(inputs.write().folder, ranks, 65, "model/config.json: sliding_window: 4 is shorter than the ", " tokens of case 1", new_files=OPENED)


def test_adapter_beside_the_weights(inputs, ranks):
    (inputs.write().folder / "model" / "adapter_config.json").write_text("{}")
    refused(inputs.folder, ranks, 65, "model/adapter_config.json: a PEFT adapter is not applied")


def test_config_that_is_not_json(inputs, ranks):
    text = (inputs.write().folder / "model" / "config.json").read_text()
    (inputs.folder / "model" / "config.json").write_text(text.replace(":", ";", 1))
    refused(inputs.folder, ranks, 65, "model/config.json: byte 14: not valid JSON")


def test_config_with_a_key_twice(inputs, ranks):
    text = (inputs.write().folder / "model" / "config.json").read_text()
    (inputs.folder / "model" / "config.json").write_text(text[:-1] + ', "num_experts": 8}')
    refused(inputs.folder, ranks, 65, "model/config.json: num_experts: appears twice")
