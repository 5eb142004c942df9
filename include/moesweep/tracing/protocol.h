// The protocol of a run in its steps: open what it is about, scan for usable cases, sweep them unit by unit, merge.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "moesweep/tracing/cases.h"
#include "moesweep/comm/comm.h"
#include "moesweep/config/config.h"
#include "moesweep/tracing/layer_pass.h"
#include "moesweep/run/layout.h"
#include "moesweep/run/progress.h"
#include "moesweep/store/store.h"
#include "moesweep/tracing/study.h"
#include "moesweep/text/tokenizer.h"
#include "moesweep/run/watchdog.h"
#include "moesweep/model/weights.h"

namespace moesweep {

/// Everything a run reads, opened and checked.
struct Inputs {
    ModelConfig model;
    Tokenizer tokenizer;
    std::vector<Fact> facts;
    std::vector<std::size_t> order;  ///< in which facts are scanned
    std::unique_ptr<Weights> weights;
    double embedding_std = 0;             ///< the unit of noise scales
    std::vector<std::string> notes = {};  ///< what a user should know of how they were read, a line each
};
/// Every rank opens them; the embedding matrix is gone through by all together.
Inputs open_inputs(const Config& config, const Comm& world, c10::Device device);

/// What a run is about, and RUN/weights.sha256: a line for every file of weights whose digest is known.
struct Digests {
    Identity identity;
    std::string known;
};
/// SHA-256 of tokenizer.json and of the facts file; of the weights: of the lines "<sha256>  <file name>" that sha256sum
/// prints for the files of the checkpoint in the order of their names. The ranks divide the files. What the run knows
/// of a file of the same path, size and time holds, unless `verify` says to read it again. Complete on root alone.
Digests identify(const Config& config, const Inputs& inputs, const std::filesystem::path& run, bool verify,
                 const Comm& world);
/// Notes the digests in the folder of a run that is theirs.
void keep_digests(const std::filesystem::path& run, const Digests& digests);

/// The attributes of /meta.
Attributes describe(const Config& config, const Inputs& inputs, const Identity& identity);

/// A draw of the subject noise for every case: sigma = scale x embedding_std.
struct Noise {
    double scale = 0;
    std::int32_t draw = 0;
};
/// A case as the layer pass takes it, with its noise from seed noise.seed + case_id + draw x 2^22.
PassCase make_pass_case(const Config& config, const Inputs& inputs, const Case& c, std::int32_t index,
                        const Noise& noise);

/// A rank at work: whom it works with, what it holds, whom it tells.
struct Crew {
    const Comm& world;
    Comm group;  ///< this rank's expert group
    Layout layout;
    std::unique_ptr<LayerSource> layers;
    Progress& progress;
    Watchdog& watchdog;
    std::chrono::steady_clock::time_point deadline;  ///< of run.max_hours
    Traffic traffic = {};                            ///< of the sweep so far
};

/// Base runs of candidates in scan order, divided over the ranks, until cases.limit are usable (and scale_up.limit
/// under its filters). The scan ends with the record that completes the limits, however many ranks worked ahead. Empty
/// if stopped.
std::vector<Case> scan(const Config& config, const Inputs& inputs, Crew& crew);

/// A set of units: the same cases under one noise, with the same kinds of rows.
struct Series {
    std::string title;                  ///< for progress
    Store store;                        ///< where its units are
    std::vector<std::int32_t> members;  ///< cases, as indices into all scanned ones; run.unit of them are a unit
    Noise noise;
    Vectors vectors = Vectors::none;  ///< kept in the units
    /// By member: the experts of equal-norm rows. Empty where the series has none.
    std::vector<std::optional<std::array<std::int32_t, 2>>> pairs = {};

    std::int64_t units(const Config& config) const;
    bool complete(const Config& config) const;
};
Series main_series(const Config& config, const Store& store, const std::vector<Case>& cases);
/// One for each further draw and scale of the noise.
std::vector<Series> condition_series(const Config& config, const Store& store, const std::vector<Case>& cases);
/// The second pass: what is patched at the selected layer alone. Nothing where there is nothing to patch.
std::optional<Series> control_series(const Config& config, const Store& store, const RunTables& run,
                                     const Selection& selection);

/// The rows of the main and condition series, and of the second pass, per layer.
std::vector<SitePlan> sweep_sites(const Config& config, const ModelConfig& model);
std::vector<SitePlan> control_sites(const Config& config, const ModelConfig& model, const Selection& selection);

/// Computes and commits every unit of a series that is not there yet. Expert groups ask for units as they need them.
/// False if a rank was asked to stop first, or the deadline came: what is in hand is left between two micro-batches. If
/// a rank cannot commit, nothing more is dealt out, the others commit what they have in hand, and all throw its error.
bool compute_series(const Config& config, const Inputs& inputs, const std::vector<Case>& cases, const Series& series,
                    const std::vector<SitePlan>& sites, Crew& crew);

/// Notes in the logs what was sent and computed for the experts, by layer and in all. Every rank calls it.
void log_traffic(const Crew& crew);

/// The tables of a swept run, cases split, without the second pass. Error(data) if a unit is missing.
RunTables read_run(const Config& config, const Store& store, const Scan& scan);
std::int32_t expert_count(const Scan& scan);  ///< E, as the scan noted it

/// Joins all series, runs the study and writes sweep.h5. A second pass that was not made is left out, and the study
/// says so.
Study merge_run(const Config& config, const Store& store, const Attributes& provenance);

/// What a run would cost, without running it.
struct Cost {
    std::int64_t cases = 0, mean_tokens = 0, max_tokens = 0;
    std::int64_t sweeps = 1;                                                                    ///< noise conditions
    std::int64_t blocks = 0, experts_least = 0, experts_most = 0, coalitions = 0, subsets = 0;  ///< rows by kind
    std::int64_t row_layers = 0;    ///< of all rows, at most
    double flops = 0;               ///< at most
    std::int64_t weight_bytes = 0;  ///< of the checkpoint
    std::int64_t file_bytes = 0;    ///< of sweep.h5, at most
    Workload work;                  ///< of a pass
};
Cost estimate(const Config& config, const Inputs& inputs);

/// True once USR1, TERM or INT has come; installs the handlers when first called. A second signal ends the process.
bool stop_requested();

}  // namespace moesweep
