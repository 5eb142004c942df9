// What a tracing run depends on: the sections of every method and its own, each a group of keys.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "moesweep/config/keys.h"

namespace moesweep {

/// How an object becomes one token (docs/design.md, Facts).
enum class ObjectToken { leading_space, bare_or_space };
enum class Experts { none, clean, union_ };     ///< experts patched alone: routed in the clean run, or in either
enum class Vectors { none, outputs, patches };  ///< what /vectors holds

/// The defaults are the paper's protocol. cases.path has none: it stays empty, and a command that needs it says so.
struct TracingConfig : RunConfig {
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
        double scale = 3.0;         ///< sigma = scale x standard deviation of the embedding matrix
        std::int64_t seed = 0;      ///< a case draws from seed + case_id
        std::int64_t draws = 1;     ///< draws of the noise, each swept: draw d of a case uses seed + case_id + d x 2^22
        NumberList<double> scales;  ///< further scales to sweep (Table 13)
    } noise;
    struct Sweep {
        LayerList layers;  ///< where patches are made
        bool blocks = true;
        Experts experts = Experts::union_;
        bool coalition_clean = true, coalition_union = true;  ///< sweep.coalitions = none | clean | union | clean,union
        bool subsets = false;  ///< sweep.subsets = none | all: every non-empty subset of the clean top-k
        std::optional<LayerList> subset_layers;  ///< where; none: at the selected layer, in the second pass

        bool subsets_at_selected() const { return subsets && !subset_layers; }
    } sweep;
    struct Select {
        std::int64_t recurrence = 64;  ///< discovery cases in which a candidate expert must be clean-active
    } select;
    struct Controls {
        std::int64_t random = 3;   ///< clean-active random controls per case
        std::int64_t seed = 1000;  ///< a case draws from seed + case_id
        bool equal_norm = true;  ///< rows of the selected expert and its gate-matched control at equal norm (eq. 8-10)
    } controls;
    struct ScaleUp {             ///< the relaxed study (paper, appendix F)
        std::int64_t limit = 0;  ///< cases wanted under the relaxed filters; 0 = no relaxed study
        double clean_margin = 0.5;
        double noise_drop = 0.25;
        std::int64_t discovery = 256;
        std::int64_t recurrence = 128;
    } scale_up;
    struct Stability {  ///< selection under other splits (paper, appendix D)
        NumberList<std::int64_t> split_seeds = "0,1,2,3,4";
        NumberList<std::int64_t> thresholds = "32,48,64,80,96";  ///< of recurrence
        std::int64_t folds = 5;                                  ///< relation folds
    } stability;
    struct Store {
        Vectors vectors = Vectors::none;
    } store;
};

/// All keys, section by section, in the order of configs/reference.ini.
Keys keys(TracingConfig& config);

}  // namespace moesweep
