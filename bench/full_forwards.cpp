// The baseline: a full forward of the whole prompt for every patch, in C++ with the same libtorch, the weights of all
// layers converted once and kept. Usage:
//
//     full_forwards CONFIG.ini SAMPLE
//
// SAMPLE has a line "case_id layer kind expert" per patch. Prints these lines followed by their rescues, then a line
// "seconds WALL CPU" for the patched forwards alone, without the start and the base runs.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <map>
#include <optional>

#include "moesweep/model/rotary.h"
#include "moesweep/model/row_arithmetic.h"
#include "moesweep/run/device.h"
#include "moesweep/run/layout.h"
#include "moesweep/tracing/noise.h"
#include "moesweep/tracing/series.h"

using namespace moesweep;

namespace {

struct Request {
    std::int64_t case_id = 0, layer = 0;
    std::string kind;
    std::int64_t expert = -1;
};

struct Model {
    const ModelConfig& config;
    std::vector<LayerWeights> layers;
    at::Tensor final_norm;
    Rotary rotary;
};

/// A MoE output [D] that replaces that of the last position at a layer.
struct Patch {
    std::size_t layer;
    at::Tensor output;
};

/// What a base run leaves at the last position of each layer.
struct Trace {
    std::vector<std::vector<std::int64_t>> experts;  // [K] of each layer
    std::vector<at::Tensor> contributions, outputs;  // [K, D], [D]
};

at::Tensor swiglu(const Mlp& mlp, const at::Tensor& x) {
    const auto parts = at::linear(x, mlp.gate_up).chunk(2, -1);
    return at::linear(at::silu(parts[0]).mul_(parts[1]), mlp.down);
}

at::Tensor attention(const Model& model, const LayerWeights& layer, const at::Tensor& x, const at::Tensor& positions) {
    const auto& c = model.config;
    const std::int64_t T = x.size(0), H = c.heads.num_attention_heads, Hkv = c.heads.num_key_value_heads,
                       Dh = c.heads.head_dim;
    const auto qkv = at::linear(x, layer.qkv).view({T, H + 2 * Hkv, Dh}).split_with_sizes({H, Hkv, Hkv}, 1);
    const auto heads_first = [](const at::Tensor& t) { return t.transpose(0, 1).unsqueeze(0); };
    const auto turned = [&](const at::Tensor& t, const at::Tensor& norm) {
        return heads_first(model.rotary.rotate(rms_norm(t, norm, c.rms_norm_eps, Precision::fp32), positions));
    };
    const at::Tensor mixed = at::scaled_dot_product_attention(
        turned(qkv[0], layer.q_norm), turned(qkv[1], layer.k_norm), heads_first(qkv[2]), {}, 0.0, /*is_causal=*/true,
        std::nullopt, /*enable_gqa=*/true);
    return at::linear(mixed.squeeze(0).transpose(0, 1).reshape({T, H * Dh}), layer.output);
}

/// MoE output [T, D], expert by expert over the tokens routed to it.
at::Tensor moe(const Model& model, const MoeWeights& weights, const at::Tensor& x, Trace* trace) {
    const std::int64_t T = x.size(0), K = model.config.router.num_experts_per_tok;
    const at::Tensor scores = at::softmax(at::linear(x, weights.router), -1);
    auto [weight, expert] = at::topk(scores, K, -1);
    if (model.config.router.norm_topk_prob) weight = weight / weight.sum(-1, /*keepdim=*/true);

    std::map<std::int64_t, std::vector<std::int64_t>> slots_of;
    for (std::int64_t slot = 0; slot < T * K; ++slot) slots_of[expert.data_ptr<std::int64_t>()[slot]].push_back(slot);
    const at::Tensor out = at::zeros_like(x), slot_weight = weight.reshape({T * K, 1});
    if (trace) trace->contributions.push_back(at::empty({K, x.size(1)}, x.options()));
    for (const auto& [e, list] : slots_of) {
        const at::Tensor slots = at::tensor(list, at::kLong), tokens = at::floor_divide(slots, K);
        const at::Tensor y = swiglu(weights.experts[static_cast<std::size_t>(e)], x.index_select(0, tokens))
                                 .mul_(slot_weight.index_select(0, slots));
        out.index_add_(0, tokens, y);
        if (trace && list.back() >= (T - 1) * K) trace->contributions.back()[list.back() - (T - 1) * K].copy_(y[-1]);
    }
    if (trace) {
        const std::int64_t* last = expert.data_ptr<std::int64_t>() + (T - 1) * K;
        trace->experts.emplace_back(last, last + K);
        trace->outputs.push_back(out[T - 1].clone());
    }
    return out;
}

/// delta of one forward over all positions of embeddings x [T, D], contrast = U[true] - U[foil] in double.
double forward(const Model& model, at::Tensor x, const at::Tensor& contrast, const std::optional<Patch>& patch,
               Trace* trace = nullptr) {
    const std::int64_t T = x.size(0);
    const double eps = model.config.rms_norm_eps;
    const at::Tensor positions = at::arange(T, at::kLong);
    for (std::size_t l = 0; l < model.layers.size(); ++l) {
        const LayerWeights& layer = model.layers[l];
        x = x + attention(model, layer, rms_norm(x, layer.input_norm, eps, Precision::fp32), positions);
        at::Tensor block = moe(model, *layer.moe, rms_norm(x, layer.post_attention_norm, eps, Precision::fp32), trace);
        if (patch && patch->layer == l) block[T - 1].copy_(patch->output);
        x = x + block;
    }
    return (rms_norm(x[T - 1], model.final_norm, eps, Precision::fp32).to(at::kDouble) * contrast).sum().item<double>();
}

/// A case, and what all its patches share.
class Subject {
  public:
    Subject(const Model& model, const Weights& weights, const Case& facts, const at::Tensor& noise) : model_(model) {
        const std::vector<std::int32_t> objects{facts.true_id, facts.foil_id};
        const at::Tensor rows = weights.head(objects).to(at::kDouble);
        contrast_ = rows[0] - rows[1];
        const at::Tensor clean = weights.embed(facts.tokens);
        noised_ = clean.clone();
        noised_.narrow(0, facts.subject_begin, facts.subject_end - facts.subject_begin).add_(noise);
        forward(model, clean, contrast_, {}, &clean_trace_);
        delta_noised_ = forward(model, noised_, contrast_, {}, &noised_trace_);
    }

    Patch find_patch(const Request& request, const std::vector<SitePlan>& sites) const {
        const auto l = static_cast<std::size_t>(request.layer);
        std::vector<std::int64_t> experts = clean_trace_.experts[l];
        experts.insert(experts.end(), noised_trace_.experts[l].begin(), noised_trace_.experts[l].end());
        const std::vector<std::optional<Pair>> no_pair(1);
        const Patches patches =
            make_patches({experts, at::stack({clean_trace_.contributions[l], noised_trace_.contributions[l]}),
                          at::stack({clean_trace_.outputs[l], noised_trace_.outputs[l]}), no_pair},
                         sites[l]);
        for (std::size_t i = 0; i < patches.interventions.size(); ++i) {
            const auto& row = patches.interventions[i];
            if (kind_names[static_cast<int>(row.kind)] == request.kind && row.expert == request.expert)
                return {l, patches.outputs[static_cast<std::int64_t>(i)].clone()};
        }
        fail(Exit::data, "case {}: layer {} has no patch {} {}", request.case_id, request.layer, request.kind,
             request.expert);
    }

    double rescue(const Patch& patch) const { return forward(model_, noised_, contrast_, patch) - delta_noised_; }

  private:
    const Model& model_;
    at::Tensor contrast_, noised_;
    Trace clean_trace_, noised_trace_;
    double delta_noised_ = 0;
};

std::vector<Request> read_requests(const std::string& path) {
    std::ifstream in(path);
    if (!in) fail(Exit::data, "{}: cannot be read", path);
    std::vector<Request> requests;
    for (Request r; in >> r.case_id >> r.layer >> r.kind >> r.expert;) requests.push_back(r);
    return requests;
}

void run(const std::string& config_file, const std::string& sample) {
    TracingConfig config = load_config<TracingConfig>(config_file, {});
    config.run.device = RunDevice::cpu;
    const ModelInputs inputs = open_model(config.model, Comm::alone(), settle_device(config, Comm::alone()));
    if (inputs.config.model_type != "qwen3_moe")
        fail(Exit::data, "{}: only qwen3_moe is timed", inputs.config.model_type);
    Model model{inputs.config, {}, inputs.weights->final_norm(), Rotary(inputs.config.rope, 4096, Precision::fp32)};
    for (std::int64_t l = 0; l < inputs.config.num_hidden_layers; ++l) model.layers.push_back(inputs.weights->layer(l));

    const std::vector<Request> requests = read_requests(sample);
    std::map<std::int64_t, Subject> subjects;
    const std::vector<Fact> facts = read_facts(config.cases.path);
    for (std::size_t record = 0; record < facts.size(); ++record) {
        const Fact& fact = facts[record];
        const auto wanted = [&](const Request& r) { return r.case_id == fact.case_id; };
        if (std::none_of(requests.begin(), requests.end(), wanted)) continue;
        const Case c = make_case(inputs.tokenizer, config, fact, static_cast<std::int32_t>(record));
        const at::Tensor noise =
            make_pass_case(config.noise, inputs, c, 0, {config.noise.scale, 0}).noise.to(inputs.weights->dtype());
        subjects.emplace(fact.case_id, Subject(model, *inputs.weights, c, noise));
    }
    std::vector<Patch> patches;
    const std::vector<SitePlan> sites = sweep_sites(config, inputs.config);
    for (const auto& r : requests) patches.push_back(subjects.at(r.case_id).find_patch(r, sites));

    std::vector<double> rescues;
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t cpu = std::clock();
    for (std::size_t i = 0; i < requests.size(); ++i)
        rescues.push_back(subjects.at(requests[i].case_id).rescue(patches[i]));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
                 cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
    for (std::size_t i = 0; i < requests.size(); ++i)
        fmt::print("{} {} {} {} {:.9g}\n", requests[i].case_id, requests[i].layer, requests[i].kind, requests[i].expert,
                   rescues[i]);
    fmt::print("seconds {:.6f} {:.6f}\n", seconds, cpu_seconds);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: full_forwards CONFIG.ini SAMPLE\n");
        return static_cast<int>(Exit::usage);
    }
    try {
        at::set_num_threads(1);
        keep_freed_memory();
        const c10::InferenceMode no_autograd;
        run(argv[1], argv[2]);
    } catch (const Error& error) {
        fmt::print(stderr, "full_forwards: {}\n", error.what());
        return static_cast<int>(error.code());
    }
}
