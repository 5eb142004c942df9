"""config.json as transformers reads it: every field of every family's class left out, null, and set to another
value."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest
import torch
import transformers

import checkpoints
import program
import reference

# A value for each field that counts, other than the class's own.
EVERY_FAMILY = dict(vocab_size=1000, hidden_size=1024, num_hidden_layers=6, num_attention_heads=16, num_key_value_heads=2,
                    head_dim=32, rms_norm_eps=1e-4, tie_word_embeddings=True, intermediate_size=72, num_experts_per_tok=3,
                    hidden_act="gelu", rope_theta=5e5)
OTHER = {
    "qwen3_moe": EVERY_FAMILY | dict(moe_intermediate_size=48, num_experts=16, norm_topk_prob=True, attention_bias=True,
                                     use_sliding_window=True, sliding_window=77, decoder_sparse_step=2, mlp_only_layers=[1]),
    "mixtral": EVERY_FAMILY | dict(num_local_experts=16, sliding_window=77),
    "glm4_moe": EVERY_FAMILY | dict(moe_intermediate_size=48, n_routed_experts=16, n_shared_experts=2, n_group=4, topk_group=2,
                                    first_k_dense_replace=2, norm_topk_prob=False, attention_bias=True, use_qk_norm=True,
                                    routed_scaling_factor=2.5, partial_rotary_factor=0.25),
}
# Fields that change no number of ours, and why.
IRRELEVANT = {
    **dict.fromkeys(["attention_dropout", "router_jitter_noise", "router_aux_loss_coef", "output_router_logits",
                     "initializer_range"], "of training"),
    **dict.fromkeys(["bos_token_id", "eos_token_id", "pad_token_id"], "which tokens, not what is computed of them"),
    **dict.fromkeys(["use_cache", "attention_chunk_size", "num_kv_shared_layers"], "of the cache, and a prompt is one forward"),
    **dict.fromkeys(["num_mtp_layers", "num_nextn_predict_layers"], "layers beyond the last, which no prompt passes through"),
    **dict.fromkeys(["output_hidden_states", "output_attentions", "return_dict", "id2label", "label2id", "problem_type",
                     "is_encoder_decoder", "chunk_size_feed_forward"], "of other classes, or of what a call returns"),
    **dict.fromkeys(["transformers_version", "architectures", "name_or_path"], "of the file"),
    "dtype": "the weights have theirs in the file, and model.precision says how they are computed",
    "max_position_embeddings": "rotation without scaling does not end there",
}
WHOLE = {"rope_parameters": "rope_theta and partial_rotary_factor", "num_local_experts": "the family's own name of it"}
ALONG = {"n_group": {"topk_group": 1}}  # where the class's value does not go with the other values


def words_of(text):
    """Words, numbers as such."""
    return [float(w) if re.fullmatch(r"[-+.\de]*\d[-+.\de]*", w) else w for w in re.split(r"[\s,()]+", text) if w]


def understood(config, folder):
    """What inspect says of a config.json (without weights), by line; None where that refuses it."""
    (folder / "config.json").write_text(json.dumps(config))
    done = subprocess.run(program.command("inspect", folder), env=program.ENVIRONMENT, capture_output=True, text=True)
    if "config.json" in done.stderr:
        assert done.returncode == 65 and not done.stdout
        return None
    lines = (re.split(r"\s{2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    return {name: words_of(value) for name, value in lines if name != "problem"}


def expected(c):
    """The same by transformers, or None for what it does not take or what we do not compute."""
    family, layers = c.model_type, range(c.num_hidden_layers)
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    rotated = int(head_dim * c.rope_parameters["partial_rotary_factor"]) if family == "glm4_moe" else head_dim
    bias = getattr(c, "attention_bias", False) and family != "mixtral"
    dense = {"qwen3_moe": lambda l: l in c.mlp_only_layers or (l + 1) % c.decoder_sparse_step != 0,
             "mixtral": lambda l: False, "glm4_moe": lambda l: l < c.first_k_dense_replace}[family]
    dense = [l for l in layers if dense(l)]
    if c.hidden_act != "silu" or c.rope_parameters["rope_type"] != "default":
        return None
    heads_normed = family == "qwen3_moe" or family == "glm4_moe" and c.use_qk_norm
    window = c.sliding_window if family != "glm4_moe" else None
    router = "sigmoid with correction bias" if family == "glm4_moe" else "softmax"
    if family == "glm4_moe" and c.n_group > 1:
        router += f", best {c.topk_group} of {c.n_group} groups"
    if family == "mixtral" or c.norm_topk_prob:
        router += ", weights renormalised"
    if family == "glm4_moe" and c.routed_scaling_factor != 1:
        router += f", scaled by {c.routed_scaling_factor}"
    inner = c.intermediate_size if family == "mixtral" else c.moe_intermediate_size
    shared = f", shared expert of inner size {inner * c.n_shared_experts}" if family == "glm4_moe" else ""
    lines = {
        "family": family,
        "layers": f"{len(layers)} ({len(layers) - len(dense)} MoE, {len(dense)} dense)",
        **({"dense layers": f"{', '.join(map(str, dense))} of inner size {c.intermediate_size}"} if dense else {}),
        "hidden": f"{c.hidden_size}",
        "norms": f"eps {c.rms_norm_eps}" + ", also of queries and keys" * heads_normed,
        "heads": f"{c.num_attention_heads} query, {c.num_key_value_heads} key/value, head size {head_dim}, {rotated} rotated",
        "rotation": f"theta {c.rope_parameters['rope_theta']}",
        "biases": ("query, key, value" if bias else "none") + ", output" * (bias and family == "qwen3_moe"),
        **({"window": f"{window} tokens: longer prompts are refused"} if window else {}),
        "experts": f"{c.num_local_experts} of inner size {inner}, top-{c.num_experts_per_tok}{shared}",
        "router": router,
        "vocabulary": f"{c.vocab_size}" + ", embeddings tied" * c.tie_word_embeddings,
    }
    return {name: words_of(value) for name, value in lines.items()}


def by_transformers(config):
    config = json.loads(json.dumps(config))  # transformers writes into the dictionaries it is given
    try:
        return expected(transformers.AutoConfig.for_model(**config))
    except Exception as error:  # its validation has errors of its own
        assert "alidation" in type(error).__name__ or isinstance(error, (TypeError, ValueError)), repr(error)
        return None


def class_of(family):
    return checkpoints.FAMILIES[family][0]


def fields_of(family):
    return [field.name for field in dataclasses.fields(class_of(family))]


def base_of(family, values):
    """A config.json with all fields that count at the values of the class, then at `values`."""
    own = class_of(family)()
    names = [name for name in OTHER[family] if name in fields_of(family)]
    return {"model_type": family, **{name: getattr(own, name) for name in names}, "head_dim": 128,
            "rope_theta": own.default_theta, **values}


def with_and_without(family, field):
    """All fields at other values than the class's, and the same without one of them."""
    others = base_of(family, OTHER[family] | {"hidden_act": "silu"} | ALONG.get(field, {}))
    return others, {key: value for key, value in others.items() if key != field}


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_every_field_of_the_class_counts_or_is_known_not_to(family):
    own = set(fields_of(family))
    assert own <= OTHER[family].keys() | IRRELEVANT.keys() | WHOLE.keys()
    for field in OTHER[family]:
        if field != "hidden_act":  # of which there is one
            others, lacking = with_and_without(family, field)
            assert None is not by_transformers(others) != by_transformers(lacking) is not None, field


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_what_the_model_reads_counts_or_is_known_not_to(family):
    """Also fields that the class does not declare: what the family's code, masks and cache ask a configuration for."""
    make_config, make_model = checkpoints.FAMILIES[family]
    name = next(name for name, recipe in checkpoints.RECIPES.items() if recipe.family == family)
    config, asked = make_config(**{**checkpoints.COMMON, **checkpoints.RECIPES[name].settings}), set()

    class Watched(make_config):
        def __getattribute__(self, key):
            file = sys._getframe(1).f_code.co_filename
            if not key.startswith("_") and file.endswith((f"modeling_{family}.py", "masking_utils.py", "cache_utils.py")):
                asked.add(key)
            return super().__getattribute__(key)

    config.__class__ = Watched
    with torch.no_grad():
        make_model(config).eval()(torch.tensor([[1, 2, 3]]))
    refused = {"is_causal", "layer_types"}  # below
    of_the_cache = {"sliding_window"} if family == "glm4_moe" else set()
    assert {"hidden_size", "rope_parameters", "num_hidden_layers"} <= asked
    assert asked - {"get_text_config"} <= OTHER[family].keys() | IRRELEVANT.keys() | WHOLE.keys() | refused | of_the_cache


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_what_config_json_leaves_out_has_the_class_s_value(family, tmp_path):
    for field in OTHER[family]:
        _, lacking = with_and_without(family, field)
        assert understood(lacking, tmp_path) == by_transformers(lacking) is not None, field
    nothing = {"model_type": family}
    if family == "glm4_moe":
        nothing["head_dim"] = 128  # 96 heads do not divide its width
    assert understood(nothing, tmp_path) == by_transformers(nothing) is not None


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_what_config_json_says_holds(family, tmp_path):
    config = base_of(family, OTHER[family] | {"hidden_act": "silu"})
    assert understood(config, tmp_path) == by_transformers(config) is not None
    assert understood(config | {"hidden_act": "gelu"}, tmp_path) is None


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_null_is_refused_where_transformers_does(family, tmp_path):
    for field in [*OTHER[family], "rope_parameters", "rope_scaling"]:
        config = base_of(family, {"num_attention_heads": 16, field: None})
        ours = understood(config, tmp_path)
        if field not in ("rope_theta", "partial_rotary_factor"):  # None there, and a crash or 1.0 later
            assert ours == by_transformers(config), field
        else:
            assert ours is None, field


ROPE = [
    {"rope_parameters": {"rope_type": "default"}},
    {"rope_parameters": {}},
    {"rope_parameters": {"rope_theta": 7.0}},
    {"rope_parameters": {"rope_type": "default"}, "rope_theta": 7.0},
    {"rope_parameters": {"type": "default", "rope_theta": 7.0}},
    {"rope_parameters": {"rope_theta": 7.0, "partial_rotary_factor": 0.25}},
    {"rope_parameters": {"rope_theta": 7.0}, "partial_rotary_factor": 0.25},
    {"rope_parameters": {"rope_theta": 7.0, "partial_rotary_factor": 0.25}, "rope_theta": 8.0, "partial_rotary_factor": 0.5},
    {"rope_parameters": {"rope_theta": 7.0}, "rope_scaling": None},
    {"rope_parameters": {"rope_theta": 7.0}, "rope_scaling": {}},
    {"rope_scaling": {"type": "default"}, "rope_theta": 7.0},
    {"rope_scaling": {"rope_type": "default", "rope_theta": 7.0}},
    {"partial_rotary_factor": 0.25},
    {"rope_theta": 7},
]


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_rotation_is_read_from_wherever_it_stands(family, tmp_path):
    for rope in ROPE:
        config = {"model_type": family, "head_dim": 64, **rope}
        assert understood(config, tmp_path) == by_transformers(config) is not None, rope


REFUSED = [
    ({"rope_scaling": {"type": "default"}, "rope_parameters": {"rope_theta": 8.0}},
     "rope_scaling: not the same as rope_parameters"),
    ({"rope_parameters": {"rope_type": "default", "type": "yarn"}},
     "rope_parameters: type: rope scaling 'yarn' is not supported"),
    ({"rope_parameters": {"full_attention": {"rope_theta": 8.0}}}, "rope_parameters: full_attention: a rotation of its own"),
    ({"rope_parameters": {"rope_theta": None}, "rope_theta": 7.0}, "rope_parameters: rope_theta: missing"),
    ({"layer_types": ["full_attention", "sliding_attention"]}, 'layer_types: "sliding_attention" is not supported'),
    ({"is_causal": False}, "is_causal: attention to later tokens is not supported"),
    ({"per_layer_config": {"1": {"num_attention_heads": 2}}}, "per_layer_config: layers that differ are not supported"),
]
EXPERT_NAMES = {"qwen3_moe": ("num_experts", "num_local_experts"), "mixtral": ("num_local_experts", "num_experts"),
                "glm4_moe": ("n_routed_experts", "num_local_experts")}


@pytest.mark.parametrize("family", checkpoints.FAMILIES)
def test_what_cannot_be_decided_is_refused_by_name(family, tmp_path):
    own, newer = EXPERT_NAMES[family]
    for change, words in [*REFUSED, ({own: 16, newer: 32}, f"{newer}: 32, but {own} is 16")]:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": family, "head_dim": 64, **change}))
        assert f"config.json: {words}" in program.call("inspect", tmp_path, expect=65).stderr
    agreed = {"model_type": family, "head_dim": 64, own: 16, newer: 16}
    assert understood(agreed, tmp_path) == by_transformers(agreed) is not None


@pytest.mark.parametrize("name", checkpoints.ONE_OF_EACH_FAMILY)
def test_a_run_without_optional_fields_is_transformers_s(checkpoint, facts_file, tmp_path, name):
    """Deltas, not words: all that the recipe says of other than sizes is left out of config.json."""
    sizes = {"model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
             "head_dim", "intermediate_size", "moe_intermediate_size", "num_experts", "num_local_experts", "n_routed_experts",
             "num_experts_per_tok", "mlp_only_layers"}
    folder = checkpoints.with_config(checkpoint(name), tmp_path / "model",
                                     lambda config: {key: value for key, value in config.items() if key in sizes})
    out = tmp_path / "run"
    program.call("trace", program.write_config(
        tmp_path / "sweep.ini", model__path=folder, cases__path=facts_file(12), cases__limit=0, cases__clean_margin="-inf",
        cases__noise_drop="-inf", cases__discovery=4, select__recurrence=1, sweep__experts="none", run__out=out))
    sweep, model = program.Sweep(out / "sweep.h5"), reference.load_model(folder, torch.float32)
    begin, usable = sweep["cases/token_begin"], sweep["cases/status"] == "usable"
    assert usable.sum() > 4
    for i in usable.nonzero()[0]:
        logits = reference.all_logits(model, sweep["cases/token_ids"][begin[i]:begin[i + 1]].tolist())[-1]
        delta = logits[sweep["cases/true_id"][i]] - logits[sweep["cases/foil_id"][i]]
        assert abs(sweep["cases/delta_clean"][i] - float(delta)) < 1e-4
