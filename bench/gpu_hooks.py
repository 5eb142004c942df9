"""What one patch costs by transformers with a hook on a GPU: full forwards of one prompt through a model of
Qwen3-30B-A3B's shape with random weights in bf16, each with one MoE block's output replaced at the last position.

    python bench/gpu_hooks.py [--forwards 500] [--tokens 12]
"""

import argparse
import time

import torch
import transformers


def make_model(implementation):
    config = transformers.Qwen3MoeConfig(hidden_size=2048, num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=4,
                                         head_dim=128, moe_intermediate_size=768, num_experts=128, num_experts_per_tok=8,
                                         norm_topk_prob=True, vocab_size=1024, tie_word_embeddings=False)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="eager",
                                                              experts_implementation=implementation)
    model.to_empty(device="cuda")
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data.normal_(0, 0.02)
    return model.eval()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--forwards", type=int, default=500)
    parser.add_argument("--tokens", type=int, default=12)
    parser.add_argument("--implementation", default="grouped_mm")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = make_model(options.implementation)
    prompt = torch.randint(1024, (1, options.tokens), device="cuda")
    patch = torch.randn(2048, device="cuda", dtype=torch.bfloat16)

    def replace_last(module, inputs, output):
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[..., -1, :] = patch
        return output

    def forward(layer):
        hook = model.model.layers[layer].mlp.register_forward_hook(replace_last)
        logits = model(prompt, use_cache=False, logits_to_keep=1).logits
        hook.remove()
        return logits

    for layer in range(8):
        forward(layer)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for i in range(options.forwards):
        forward(i % 48)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - begin
    print(f"{torch.cuda.get_device_name()}: {options.forwards} forwards of {options.tokens} tokens, {options.implementation}: "
          f"{1e3 * seconds / options.forwards:.1f} ms a patch")


main()
