// The configuration that every method has: the model, the ranks, the run and its statistics, in sections. A method's
// own configuration begins with these and adds its sections (tracing/keys.h); functions take the section that they
// need.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "moesweep/config/values.h"

namespace moesweep {

/// Arithmetic of a run. The last three keep the matrices in bf16, as released checkpoints have them; all else is fp32.
enum class Precision {
    automatic,  ///< split on GPUs, fp32 on the CPU; settled before anything is computed
    fp32,
    fp64,    ///< the reference
    split,   ///< activations meet them unrounded: fp32's numbers, on the CPU to the last bit
    fast,    ///< activations rounded to bf16 where they meet a matrix: one product
    parity,  ///< fast, and rounded to bf16 wherever Hugging Face's bf16 models round
};
enum class Bos { automatic, yes, no };  ///< auto: what the model's tokenizer does by default
/// All layers in memory, or read layer by layer in each pass.
enum class WeightsMode { automatic, resident, streamed };
enum class RunDevice { automatic, cpu, cuda };

/// model.path and run.out have no default: they stay empty, and a command that needs one says so itself.
struct RunConfig {
    struct Model {
        std::string path;  ///< a Hugging Face folder
        Precision precision = Precision::automatic;
        Bos bos = Bos::automatic;
        WeightsMode weights = WeightsMode::automatic;
    } model;
    struct Stats {
        std::int64_t bootstrap = 5000;    ///< resamples of an interval
        std::int64_t sign_flips = 10000;  ///< samples of a p value
        std::int64_t seed = 0;
    } stats;
    struct Parallel {
        std::optional<std::int64_t> experts;  ///< ranks that hold a model's experts together; none: auto
    } parallel;
    struct Run {
        std::string out;         ///< the run's folder
        std::int64_t unit = 16;  ///< items computed and committed together
        RunDevice device = RunDevice::automatic;
        bool log = false;        ///< write log/rank-N.log
        double progress = 5.0;   ///< seconds between progress lines when the output is not a terminal
        MemorySize memory;       ///< of a rank
        double max_hours = 0;    ///< stop in time to commit within so many hours; 0 = no limit
        double watchdog = 1800;  ///< seconds without progress after which a rank ends the run; 0 = off
    } run;
};

}  // namespace moesweep
