#include "moesweep/run/job.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/ranges.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <ctime>
#include <utility>

#include "digests.h"
#include "moesweep/base/version.h"
#include "moesweep/model/model_config.h"
#include "moesweep/run/device.h"
#include "moesweep/run/stop.h"
#include "moesweep/text/bos.h"

namespace moesweep {
namespace {

std::string now() {
    const std::time_t t = std::time(nullptr);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&t));
    return text;
}

std::string host_name() {
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    return name;
}

Job::Clock::time_point deadline_of(const RunConfig::Run& run) {
    if (run.max_hours == 0) return Job::Clock::time_point::max();
    const std::chrono::duration<double> seconds(3600 * run.max_hours);
    return Job::Clock::now() + std::chrono::duration_cast<Job::Clock::duration>(seconds);
}

/// From here on signals count, and time.
c10::Device begin(const Comm& world, RunConfig& config, Watchdog& watchdog) {
    at::set_num_threads(1);  // a rank is one thread; more ranks use more cores
    keep_freed_memory();
    stop_requested();
    watchdog.phase("opening", Watchdog::Signs::work);
    return settle_device(config, world);
}

Identity identity_of(const MethodIdentity& method, const RunConfig& config, const ModelInputs& model,
                     const Digests& digests) {
    Identity identity = {{"method", method.name, method.name_before}};
    for (std::size_t i = 0; i < method.settings.size(); ++i)
        if (const auto& [key, value, is_identity] = method.settings[i]; is_identity)
            identity.push_back({key, value, method.defaults[i].value});
    for (const auto& [name, value] : architecture(model.config)) identity.push_back({"architecture." + name, value});
    const auto bos = bos_token(model.tokenizer, config.model.bos);
    identity.push_back({"bos", bos ? std::to_string(*bos) : "none"});
    identity.push_back({"weights_sha256", digests.weights});
    identity.push_back({"tokenizer_sha256", digests.tokenizer});
    identity.push_back({method.file_key, digests.method_file});
    return identity;
}

}  // namespace

Job::Job(const Comm& all, RunConfig& settled)
    : world(all),
      config(settled),
      progress(world.root(), config.run.progress),
      watchdog(world, config.run.watchdog),
      deadline(deadline_of(config.run)),
      device(begin(world, config, watchdog)),
      model(open_model(config.model, world, device)),
      store(config.run.out),
      started_(now()) {}

void Job::claim_folder(const MethodIdentity& method, bool verify) {
    if (config.run.out.empty())
        throw SharedError(Exit::usage, "run.out: required, set it in the configuration or as --run.out=...");
    const auto files = model.weights->checkpoint().files();
    const Digests digests = digest(files, config.model.path, method.file, store.folder(), verify, world);
    world.together([&] {
        if (!world.root()) return;
        lock.emplace(store.folder(), std::chrono::seconds(3));
        store.open(method.config_ini, identity_of(method, config, model, digests));
        keep_digests(store.folder(), digests);
    });
    weights_sha256 = digests.weights;
    tokenizer_sha256 = digests.tokenizer;
    file_sha256 = digests.method_file;
    world.together([&] {
        if (config.run.log) progress.log_to(store.folder() / "log", world.rank());
        for (const auto& text : bos_lines(model.tokenizer, config.model.bos)) progress.say("BOS: " + text);
    });
    for (const std::string& note : model.notes) progress.say(note);
}

void Job::with_model(const RunConfig::Model& other, const std::function<Workload()>& work,
                     const std::function<void()>& use) {
    const Workload own_work = work_;
    layers.reset();
    ModelInputs own = std::exchange(model, open_model(other, world, device));
    lay_out(work());
    use();
    layers.reset();
    model = std::move(own);
    lay_out(own_work);
}

void Job::lay_out(const Workload& work) {
    work_ = work;
    const Ranks ranks = look_at_ranks(config, world, device);
    world.together([&] {
        layout = choose_layout(config, *model.weights, work, ranks);
        expect_to_fit(config, layout);
    });
    group.emplace(expert_group(world, layout.experts));
    world.together([&] {
        const auto share = expert_share(model.config.router.num_experts, group->rank(), group->size());
        layers = std::make_unique<LayerSource>(*model.weights, share, layout.streamed);
    });
}

bool Job::should_stop() const {
    return world.any(stop_requested() || Clock::now() > deadline);
}

Exit Job::stopped() {
    progress.say("stopped; the same command goes on");
    return Exit::stopped;
}

Attributes provenance(const Job& job, const std::string& command, const std::vector<std::string>& overrides) {
    return {{"command", command},
            {"overrides", fmt::format("{}", fmt::join(overrides, " "))},
            {"ranks", std::to_string(job.world.size())},
            {"ranks_to_a_model", std::to_string(job.group->size())},
            {"weights", job.layers->streamed() ? "streamed" : "resident"},
            {"hosts", fmt::format("{}", fmt::join(job.world.gather_all(host_name()), " "))},
            {"notes", fmt::format("{}", fmt::join(job.model.notes, "\n"))},
            {"started", job.started_},
            {"merged", now()},
            {"moesweep", version},
            {"torch", TORCH_VERSION},
            {"hdf5", hdf5_version()}};
}

}  // namespace moesweep
