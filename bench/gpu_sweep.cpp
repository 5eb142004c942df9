// The sweep alone, warm, on a GPU or the CPU: a model of true shape whose weights are drawn on the device from a seed,
// and cases of random tokens; at every MoE layer the block and each expert of the clean run. `gpu_sweep --help` lists
// the options.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <optional>
#include <random>
#include <sstream>

#include "moesweep/run/device.h"
#include "moesweep/run/layout.h"
#include "moesweep/tracing/sweep_pass.h"
#include "product_rate.h"
#include "profile.h"
#include "timing.h"
#include "true_shapes.h"

using namespace moesweep;
namespace po = boost::program_options;

namespace {

struct Options {
    std::string model, precision, device, folder, memory;
    std::int64_t layers = 0, cases = 0, tokens = 0, rounds = 0;
    std::uint64_t seed = 0;
    bool streamed = false, profile = false;
};

/// Nothing if help was printed.
std::optional<Options> read_options(int argc, char** argv) {
    Options o;
    po::options_description description("gpu_sweep");
    const auto add = [&](const char* name, auto& value, auto standard, const char* help) {
        using Value = std::remove_reference_t<decltype(value)>;
        description.add_options()(name, po::value(&value)->default_value(Value(standard)), help);
    };
    add("model", o.model, "qwen3", "qwen3, mixtral, glm4, small, or a config.json");
    add("layers", o.layers, 0, "how many; 0: all of the model's");
    add("precision", o.precision, "split", "fp32, split, fast, parity");
    add("device", o.device, "auto", "auto, cpu, cuda");
    add("cases", o.cases, 256, "how many");
    add("tokens", o.tokens, 12, "of a case");
    add("rounds", o.rounds, 5, "that are timed, after one that is not");
    add("memory", o.memory, "auto", "run.memory: sets the micro-batches");
    add("streamed", o.streamed, false, "layers come from a hollow checkpoint, as zeros");
    add("profile", o.profile, false, "after the rounds, one more pass: what the GPU's time goes to");
    add("folder", o.folder, "build/hollow-model", "where that checkpoint is written");
    add("seed", o.seed, 1, "of the weights");
    description.add_options()("help", "this list");
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, description), given);
    po::notify(given);
    if (!given.contains("help")) return o;
    std::ostringstream text;
    text << description;
    fmt::print("{}", text.str());
    return std::nullopt;
}

TracingConfig make_config(const Options& o) {
    return parse_config<TracingConfig>(
        fmt::format("[model]\nprecision = {}\nweights = {}\n[run]\ndevice = {}\nmemory = {}\nunit = {}\n", o.precision,
                    o.streamed ? "streamed" : "resident", o.device, o.memory, o.cases),
        "gpu_sweep");
}

std::vector<Case> random_cases(const Options& o, const ModelConfig& model) {
    std::mt19937_64 random(o.seed);
    const auto draw = [&] {
        return static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(model.vocab_size));
    };
    std::vector<Case> cases(static_cast<std::size_t>(o.cases));
    for (Case& c : cases) {
        for (std::int64_t t = 0; t < o.tokens; ++t) c.tokens.push_back(draw());
        c.subject_end = static_cast<std::int32_t>(std::min<std::int64_t>(3, o.tokens));
        c.true_id = draw();
        c.foil_id = (c.true_id + 1) % static_cast<std::int32_t>(model.vocab_size);
    }
    return cases;
}

double peak_gigabytes(c10::Device device) {
    if (device.is_cpu()) {
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        return double(usage.ru_maxrss) * 1024e-9;
    }
    return double(at::accelerator::getDeviceStats(device.index()).allocated_bytes[0].peak) * 1e-9;
}

/// What a pass does: rows alive at each layer's start, contexts left out, and the FLOP of all rows' products with
/// weights.
struct Work {
    std::int64_t row_layers = 0;
    double operations = 0;
};
Work count_work(const ModelConfig& m, std::int64_t cases, std::int64_t tokens) {
    Work work;
    std::int64_t rows = 2 * cases;
    for (std::int64_t l = 0; l < m.num_hidden_layers; ++l) {
        const std::int64_t contexts = l + 1 < m.num_hidden_layers ? 2 * cases * (tokens - 1) : 0;
        work.row_layers += rows;
        work.operations += operations_per_row(m, l) * double(rows + contexts);
        if (m.is_moe[static_cast<std::size_t>(l)]) rows += cases * (1 + m.router.num_experts_per_tok);
    }
    return work;
}

LayerSource make_layers(const Options& o, const Weights& weights) {
    const ExpertShare all{0, weights.config().router.num_experts};
    if (o.streamed) return {weights, all, /*streamed=*/true};
    return {weights, all,
            [&o](const std::string& name, const at::Tensor& values) { draw_weights(o.seed, name, values); }};
}

bool same_bits(const PassResult& a, const PassResult& b) {
    return a.delta_clean == b.delta_clean && a.delta_noised == b.delta_noised && a.tables.rows == b.tables.rows;
}

void run(const Options& o) {
    if (o.cases < 1 || o.tokens < 1 || o.rounds < 1) fail(Exit::usage, "cases, tokens and rounds: 1 at least");
    TracingConfig config = make_config(o);
    const Comm alone = Comm::alone();
    const c10::Device device = settle_device(config, alone);
    write_checkpoint(o.folder, shape_of(o.model, o.layers), Layers::hollow);
    const ModelConfig model = read_model_config(o.folder);
    const Weights weights(o.folder, model, config.model.precision, device);

    PassPlan plan;
    for (const bool is_moe : model.is_moe)
        plan.sites.push_back(is_moe ? SitePlan{.block = true, .experts = Experts::clean} : SitePlan{});
    const std::int64_t sites = std::ranges::count(model.is_moe, true),
                       rows = sites * (1 + model.router.num_experts_per_tok);
    const Layout layout =
        choose_layout(config, weights, {o.tokens, rows, o.cases}, look_at_ranks(config, alone, device));
    expect_to_fit(config, layout);

    const std::vector<Case> cases = random_cases(o, model);
    std::vector<PassCase> pass_cases;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const auto index = static_cast<std::int32_t>(i);
        pass_cases.push_back({&cases[i], index, subject_noise(cases[i].subject_end, model.hidden_size, 3, index)});
    }

    LayerSource layers = make_layers(o, weights);
    const auto pass = [&](std::int64_t micro_batches) {
        plan.micro_batches = micro_batches;
        return *run_pass({weights, layers, alone}, pass_cases, plan);
    };
    const PassResult first = pass(layout.micro_batches(o.cases));
    const Work work = count_work(model, o.cases, o.tokens);
    fmt::print(
        "{} in {} on {}: {} layers, {} cases of {} tokens, {} rows, {} row-layers, {:.3f} TFLOP, {} micro-batches\n",
        o.model, o.precision, device.str(), model.num_hidden_layers, o.cases, o.tokens, first.tables.rows.size(),
        work.row_layers, work.operations * 1e-12, plan.micro_batches);

    const at::ScalarType products = device.is_cpu() ? weights.dtype() : weights.matrix_dtype();
    std::vector<double> all_seconds, shares;
    for (std::int64_t round = 0; round < o.rounds; ++round) {
        const double rate = product_rate(weights.options().dtype(products));
        all_seconds.push_back(seconds_of([&] { pass(plan.micro_batches); }));
        shares.push_back(work.operations / all_seconds.back() / rate);
        fmt::print("{:.3f} s, {:.3f} TFLOP/s, large products {:.3f} TFLOP/s, share {:.3f}\n", all_seconds.back(),
                   work.operations / all_seconds.back() * 1e-12, rate * 1e-12, shares.back());
    }
    const double seconds = median(all_seconds);
    fmt::print(
        "median {:.3f} s, {:.0f} row-layers/s, share of the large products {:.3f}, {:.1f} GB of memory at most\n",
        seconds, double(work.row_layers) / seconds, median(shares), peak_gigabytes(device));
    if (o.profile) print_profile([&] { pass(plan.micro_batches); });
    const std::int64_t more = plan.micro_batches + 1;
    fmt::print("same bits in {} micro-batches: {}\n", more, same_bits(first, pass(more)) ? "yes" : "NO");
}

}  // namespace

int main(int argc, char** argv) try {
    const c10::InferenceMode no_autograd;
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    at::set_num_threads(1);
    keep_freed_memory();
    if (const auto options = read_options(argc, argv)) run(*options);
} catch (const std::exception& error) {
    fmt::print(stderr, "gpu_sweep: {}\n", error.what());
    return 1;
}
