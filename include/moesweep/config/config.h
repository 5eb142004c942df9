// The configuration: every key a run depends on, from configs/*.ini < MOESWEEP_SECTION_KEY < --section.key=value.
// configs/reference.ini documents each key with its default and unit; keys.cpp holds the one table of keys, and a test
// keeps the two equal.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
enum class Bos { automatic, yes, no };                    ///< auto: what the model's tokenizer does by default
enum class ObjectToken { leading_space, bare_or_space };  ///< how an object becomes one token (DESIGN, Facts)
enum class Experts { none, clean, union_ };     ///< experts patched alone: routed in the clean run, or in either
enum class Vectors { none, outputs, patches };  ///< what /vectors holds
enum class WeightsMode {
    automatic,
    resident,
    streamed
};  ///< all layers in memory, or read layer by layer in each pass

enum class RunDevice { automatic, cpu, cuda };

/// The defaults are the paper's protocol. model.path, cases.path and run.out have none: they stay empty, and a command
/// that needs one says so itself.
struct Config {
    struct Model {
        std::string path;  ///< a Hugging Face folder
        Precision precision = Precision::automatic;
        Bos bos = Bos::automatic;
        WeightsMode weights = WeightsMode::automatic;
    } model;
    struct Cases {
        std::string path;              ///< facts in CounterFact's JSON (ROME layout)
        std::int64_t seed = 0;         ///< of the record order and of the split, as CPython's random.Random(seed)
        std::int64_t limit = 256;      ///< usable cases wanted; 0 = all
        double clean_margin = 1.0;     ///< least delta of the clean run, in logits; -inf = off
        double noise_drop = 0.5;       ///< least delta_clean - delta_noised, in logits; -inf = off
        std::int64_t discovery = 128;  ///< usable cases of the discovery half; the others validate
        ObjectToken object_token = ObjectToken::leading_space;
    } cases;
    struct Noise {
        double scale = 3.0;      ///< sigma = scale x standard deviation of the embedding matrix
        std::int64_t seed = 0;   ///< a case draws from seed + case_id
        std::int64_t draws = 1;  ///< draws of the noise, each swept: draw d of a case uses seed + case_id + d x 2^22
        std::string scales;      ///< further scales to sweep (Table 13), e.g. "1,2,4"; empty: none
    } noise;
    struct Sweep {
        std::string layers = "all";  ///< "all" or e.g. "0-3,7": where patches are made
        bool blocks = true;
        Experts experts = Experts::union_;
        bool coalition_clean = true;  ///< sweep.coalitions = none | clean | union | clean,union
        bool coalition_union = true;
        bool subsets =
            false;  ///< sweep.subsets = none | all: every non-empty subset of the clean top-k (exact Shapley values)
        std::string subset_layers = "selected";  ///< where: "selected" (the selected layer) or layers such as 0-3,7
    } sweep;
    struct Select {
        std::int64_t recurrence = 64;  ///< discovery cases in which a candidate expert must be clean-active
    } select;
    struct Controls {
        std::int64_t random = 3;   ///< clean-active random controls per case
        std::int64_t seed = 1000;  ///< a case draws from seed + case_id
        bool equal_norm = true;  ///< the equal-norm rows of the selected expert and its gate-matched control (eq. 8-10)
    } controls;
    struct ScaleUp {             ///< the relaxed study (paper, appendix F)
        std::int64_t limit = 0;  ///< cases wanted under the relaxed filters; 0 = no relaxed study
        double clean_margin = 0.5;
        double noise_drop = 0.25;
        std::int64_t discovery = 256;
        std::int64_t recurrence = 128;
    } scale_up;
    struct Stability {  ///< selection under other splits (paper, appendix D)
        std::string split_seeds = "0,1,2,3,4";
        std::string thresholds = "32,48,64,80,96";  ///< of recurrence
        std::int64_t folds = 5;                     ///< relation folds
    } stability;
    struct Stats {
        std::int64_t bootstrap = 5000;    ///< resamples of an interval
        std::int64_t sign_flips = 10000;  ///< samples of a p value
        std::int64_t seed = 0;
    } stats;
    struct Parallel {
        std::string experts = "auto";  ///< ranks that hold a model's experts together: a number or "auto"
    } parallel;
    struct Run {
        std::string out;         ///< the run's folder
        std::int64_t unit = 16;  ///< cases computed and committed together
        RunDevice device = RunDevice::automatic;
        bool log = false;             ///< write log/rank-N.log
        double progress = 5.0;        ///< seconds between progress lines when the output is not a terminal
        std::string memory = "auto";  ///< of a rank: "1GB", "800MiB", "60%" of what it may have, or "auto" = 80%
        double max_hours = 0;         ///< stop in time to commit within so many hours; 0 = no limit
        double watchdog = 1800;       ///< seconds without progress after which a rank ends the run; 0 = off
    } run;
    struct Store {
        Vectors vectors = Vectors::none;
    } store;
};

/// One key and its effective value as text (as it stands in config.ini).
struct Setting {
    std::string key;  ///< "section.key"
    std::string value;
};

/// All settings in the order of reference.ini.
std::vector<Setting> settings(const Config& config);

/// run.memory as it stands: bytes, or the share of what a rank may have (then bytes = 0).
struct MemorySize {
    std::int64_t bytes = 0;
    double share = 0;
};
/// "1GB", "800MiB", "60%"; nothing for any other text.
std::optional<MemorySize> parse_memory(std::string_view text);
/// Whether it is a number of bytes, not a share.
bool is_size(std::string_view memory);

/// Whether the scan or the unit files depend on a key, so that it must not differ when a run goes on: model.precision,
/// model.bos, cases.* but path and discovery, noise.scale and seed, sweep.*, scale_up's filters, store.*, run.device,
/// and run.unit, which changes no number but names the unit files. The other keys may change. Paths: what they lead to
/// is known by its SHA-256, and a moved model is still the same model. cases.discovery, select.*, controls.*, stats.*:
/// they only say how the finished rows are split and summed up, so a run may be merged again under other values without
/// computing a unit anew. Error(internal): no such key.
bool is_identity(std::string_view key);

/// Reads `file` (may be empty: none), then the environment's MOESWEEP_SECTION_KEY, then `overrides`
/// ("section.key=value"). Error(usage) for an unknown key, a value of the wrong type or out of range, a repeated key,
/// or a line that is neither [section], key = value nor a comment (a line that starts with # or ;). It opens with where
/// the mistake is: "configs/x.ini:12: noise.scale: ...", "MOESWEEP_NOISE_SCALE: ..." or "--noise.scale: ...".
/// Error(data): no such file. Variables that start with MOESWEEP_ but name no section (MOESWEEP_BUILD) are ignored.
/// Relative paths in a file stay relative to the working directory; ~ and ~/ in front of a path become the home folder.
/// A byte order mark in front of the file is skipped.
Config load_config(const std::string& file, const std::vector<std::string>& overrides);

/// Reads an INI text alone, such as the config.ini of a run folder; `name` stands for it in messages.
Config parse_config(std::string_view text, const std::string& name);

/// The effective configuration, each key under its meaning, as an INI file that parse_config reads back to the same
/// values.
std::string to_ini(const Config& config);

/// A list of numbers such as "1,2,4"; empty for "". The texts in a Config are checked: Error(internal) otherwise.
std::vector<double> parse_numbers(const std::string& text);
std::vector<std::int64_t> parse_integers(const std::string& text);

/// sweep.layers against a model of n layers, ascending and without repeats. Error(usage) for a layer that is not there.
std::vector<int> parse_layers(const std::string& text, int layers);

}  // namespace moesweep
