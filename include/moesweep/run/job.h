// A run as every method has it: who works on it, on what, where its results go, and how it ends in time. A method opens
// a job, reads its own inputs, claims the folder, lays the ranks out, and computes units (compute_units.h).
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/comm/comm.h"
#include "moesweep/config/keys.h"
#include "moesweep/engine/traffic.h"
#include "moesweep/model/layer_source.h"
#include "moesweep/model/weights.h"
#include "moesweep/run/layout.h"
#include "moesweep/run/model_inputs.h"
#include "moesweep/run/progress.h"
#include "moesweep/run/watchdog.h"
#include "moesweep/store/run_lock.h"
#include "moesweep/store/store.h"

namespace moesweep {

/// What a method adds to the identity of its runs.
struct MethodIdentity {
    const char* name;               ///< of the method; merge goes by it
    const char* name_before;        ///< of the method of runs that do not say theirs: there was one when they began
    std::vector<Setting> settings;  ///< every key of its configuration
    std::vector<Setting> defaults;  ///< the same keys' defaults
    std::string config_ini;         ///< all of it as text
    std::string file_key, file;     ///< its own input file, known by its SHA-256 under that key
};

struct Job {
    using Clock = std::chrono::steady_clock;

    /// Listens to signals and settles the device, with the configuration's run.device and model.precision, and opens
    /// the model. Every rank calls it. SharedError.
    Job(const Comm& world, RunConfig& config);

    /// Takes the run's folder, which belongs to one configuration, model and inputs, and to one attempt at a time.
    /// `verify`: hash all weights again. SharedError(other_run, locked, io, usage).
    void claim_folder(const MethodIdentity& method, bool verify);

    /// Divides ranks and memory for the work, and reads the weights that stay in memory. SharedError.
    void lay_out(const Workload& work);

    /// Puts another model in the place of the run's own for `use`, laid out for what `work` says of it: one that rates,
    /// for instance. The run's own is laid out again afterwards. Every rank calls it. SharedError.
    void with_model(const RunConfig::Model& other, const std::function<Workload()>& work,
                    const std::function<void()>& use);

    /// Whether the run shall end before its time. The same on every rank; all call it.
    bool should_stop() const;
    /// Says that it has been stopped, and what then.
    Exit stopped();

    const Comm& world;
    RunConfig& config;
    Progress progress;
    Watchdog watchdog;
    Clock::time_point deadline;  ///< of run.max_hours
    c10::Device device;
    ModelInputs model;

    Store store;  ///< from claim_folder() on
    std::optional<RunLock> lock;
    std::string weights_sha256, tokenizer_sha256, file_sha256;  ///< on root

    Layout layout;              ///< from lay_out() on
    std::optional<Comm> group;  ///< this rank's expert group
    std::unique_ptr<LayerSource> layers;
    Traffic traffic;  ///< so far

  private:
    Workload work_;
    std::string started_;
    friend Attributes provenance(const Job&, const std::string&, const std::vector<std::string>&);
};

/// What a run was made by: the part of the merged file that two runs of the same data need not share. Every rank calls
/// it.
Attributes provenance(const Job& job, const std::string& command, const std::vector<std::string>& overrides);

/// Notes in the logs what was sent and computed for the experts, by layer and in all. Every rank calls it.
void log_traffic(Job& job);

}  // namespace moesweep
