// The protocol of a run in its steps: open what it is about, scan for usable cases, sweep them unit by unit, merge.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "moesweep/cases.h"
#include "moesweep/comm.h"
#include "moesweep/config.h"
#include "moesweep/layer_pass.h"
#include "moesweep/progress.h"
#include "moesweep/store.h"
#include "moesweep/study.h"
#include "moesweep/tokenizer.h"
#include "moesweep/weights.h"

namespace moesweep {

/// Everything a run reads, opened and checked.
struct Inputs {
    ModelConfig model;
    Tokenizer tokenizer;
    std::vector<Fact> facts;
    std::vector<std::size_t> order;  ///< in which facts are scanned
    std::unique_ptr<Weights> weights;
    std::vector<bool> patched_layers;  ///< sweep.layers, MoE layers only
    double sigma = 0;                  ///< standard deviation of the subject noise
};
Inputs open_inputs(const Config& config);

/// SHA-256 of tokenizer.json and of the facts file; of the weights: of the lines "<sha256>  <file name>" that sha256sum
/// prints for the safetensors files in the order of their names.
Identity identify(const Config& config, const Inputs& inputs);

/// The attributes of /meta.
Attributes describe(const Config& config, const Inputs& inputs, const Identity& identity);

/// A case as the layer pass takes it, with its draw of noise.
PassCase make_pass_case(const Config& config, const Inputs& inputs, const Case& c, std::int32_t index);

/// Base runs of candidates in scan order, divided over the ranks, until cases.limit are usable. The scan ends with the
/// record that completes the limit, however many ranks worked ahead. Empty if stopped on request.
std::vector<Case> scan(const Config& config, const Inputs& inputs, const Comm& comm, Progress& progress);

/// Indices of the usable cases, in scan order, and the number of units that they fill.
std::vector<std::int32_t> usable_cases(const std::vector<Case>& cases);
std::int64_t unit_count(const Config& config, const std::vector<Case>& cases);

/// Computes and commits every unit that is not there yet, dealt out to the ranks. False if a rank was asked to stop first.
/// A rank that fails lets the others finish their shares, which are committed; then all throw its error.
bool sweep_units(const Config& config, const Inputs& inputs, const std::vector<Case>& cases, const Store& store,
                 const Comm& comm, Progress& progress);

/// Joins the units, runs the study and writes sweep.h5. Error(data) if a unit is missing.
Study merge_run(const Config& config, const Store& store, const Attributes& provenance);

/// What a run would cost, without running it.
struct Cost {
    std::int64_t candidates = 0, cases = 0, mean_tokens = 0, max_tokens = 0;
    std::int64_t blocks = 0, experts_least = 0, experts_most = 0, coalitions = 0;  ///< rows by kind
    std::int64_t row_layers = 0;                                                   ///< of all rows, at most
    double flops = 0;                                                              ///< at most
    std::int64_t weight_bytes = 0;                                                 ///< of the checkpoint
    std::int64_t layer_bytes = 0;  ///< of the largest layer in the run's precision
    std::int64_t kv_bytes = 0;     ///< keys and values of one layer of one unit
    std::int64_t rank_bytes = 0;   ///< memory of a rank, at most
    std::int64_t file_bytes = 0;   ///< of sweep.h5, at most
};
Cost estimate(const Config& config, const Inputs& inputs);

/// True once USR1, TERM or INT has come; installs the handlers when first called. A second signal ends the process.
bool stop_requested();

}  // namespace moesweep
