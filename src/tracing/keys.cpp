#include "moesweep/tracing/keys.h"

namespace moesweep {
namespace {

Keys cases_keys(TracingConfig::Cases& cases) {
    return {
        path_key(MOESWEEP_KEY(cases.path), "facts in CounterFact's JSON (ROME layout); a run needs them"),
        seed_key(MOESWEEP_KEY(cases.seed), part_of_identity,
                 "seed of the record order and of the split, as CPython's random.Random(seed)"),
        integer_key(MOESWEEP_KEY(cases.limit), part_of_identity, 0, "usable cases wanted, 0 = all"),
        number_key(MOESWEEP_KEY(cases.clean_margin), part_of_identity, Least::none,
                   "least delta of the clean run, in logits; -inf = off"),
        number_key(MOESWEEP_KEY(cases.noise_drop), part_of_identity, Least::none,
                   "least fall of delta from the clean to the noised run, in logits; -inf = off"),
        integer_key(MOESWEEP_KEY(cases.discovery), free_to_change, 1,
                    "usable cases in the discovery half; the others validate"),
        choice_key(MOESWEEP_KEY(cases.object_token), part_of_identity, {"leading-space", "bare-or-space"},
                   "how an object becomes one token: leading-space (as after a blank), or bare-or-space (bare if that "
                   "is one token)"),
    };
}

Keys noise_keys(TracingConfig::Noise& noise) {
    return {
        number_key(MOESWEEP_KEY(noise.scale), part_of_identity, Least::zero,
                   "sigma of the noise, in standard deviations of the embedding matrix"),
        seed_key(MOESWEEP_KEY(noise.seed), part_of_identity, "a case draws its noise from noise.seed + case_id"),
        integer_key(MOESWEEP_KEY(noise.draws), free_to_change, 1,
                    "draws of the noise, each swept: draw d of a case uses noise.seed + case_id + d x 2^22", 1000),
        list_key(MOESWEEP_KEY(noise.scales), free_to_change,
                 "further scales of the noise to sweep (Table 13), such as 1,2,4; empty = none"),
    };
}

Key coalitions_key(TracingConfig::Sweep& sweep) {
    return word_key(
        "sweep.coalitions", part_of_identity, {"none", "clean", "union", "clean,union"},
        "routed experts patched together: the clean top-k, the union of both runs' top-k",
        [&sweep] { return std::size_t{sweep.coalition_clean} + 2 * sweep.coalition_union; },
        [&sweep](std::size_t index) {
            sweep.coalition_clean = index & 1;
            sweep.coalition_union = index & 2;
        });
}

Keys sweep_keys(TracingConfig::Sweep& sweep) {
    return {
        layers_key(MOESWEEP_KEY(sweep.layers), part_of_identity,
                   "decoder layers to patch, from 0: all, or layers such as 0-3,7"),
        choice_key(MOESWEEP_KEY(sweep.blocks), part_of_identity, {"no", "yes"},
                   "patch each layer's whole MoE output: yes or no"),
        choice_key(MOESWEEP_KEY(sweep.experts), part_of_identity, {"none", "clean", "union"},
                   "experts patched one by one: none, clean (routed in the clean run), union (in either run)"),
        coalitions_key(sweep),
        choice_key(MOESWEEP_KEY(sweep.subsets), part_of_identity, {"none", "all"},
                   "patch every subset of the clean top-k, for exact Shapley values: none or all"),
        layers_key(MOESWEEP_KEY(sweep.subset_layers), "selected", part_of_identity,
                   "layers whose subsets are patched: selected (the selected one), all, or layers such as 0-3,7"),
    };
}

Keys select_keys(TracingConfig::Select& select) {
    return {integer_key(MOESWEEP_KEY(select.recurrence), free_to_change, 1,
                        "discovery cases in which a candidate expert must be clean-active")};
}

Keys controls_keys(TracingConfig::Controls& controls) {
    return {
        integer_key(MOESWEEP_KEY(controls.random), free_to_change, 0,
                    "other clean-active experts drawn per case as controls", 127),
        seed_key(MOESWEEP_KEY(controls.seed), free_to_change, "a case draws its controls from controls.seed + case_id"),
        choice_key(MOESWEEP_KEY(controls.equal_norm), free_to_change, {"no", "yes"},
                   "patch the selected expert and its gate-matched control at equal norm (Tables 9 and 11): yes or no"),
    };
}

Keys scale_up_keys(TracingConfig::ScaleUp& scale_up) {
    return {
        integer_key(MOESWEEP_KEY(scale_up.limit), part_of_identity, 0,
                    "cases of the relaxed study (Tables 14 and 15), 0 = no such study"),
        number_key(MOESWEEP_KEY(scale_up.clean_margin), part_of_identity, Least::none,
                   "its least delta of the clean run, in logits"),
        number_key(MOESWEEP_KEY(scale_up.noise_drop), part_of_identity, Least::none,
                   "its least fall of delta, in logits"),
        integer_key(MOESWEEP_KEY(scale_up.discovery), free_to_change, 1,
                    "its cases in the discovery half; the others validate"),
        integer_key(MOESWEEP_KEY(scale_up.recurrence), free_to_change, 1,
                    "its discovery cases in which a candidate expert must be clean-active"),
    };
}

Keys stability_keys(TracingConfig::Stability& stability) {
    return {
        list_key(MOESWEEP_KEY(stability.split_seeds), free_to_change,
                 "seeds of the splits under which the selection is repeated"),
        list_key(MOESWEEP_KEY(stability.thresholds), free_to_change,
                 "recurrence thresholds under which it is repeated"),
        integer_key(MOESWEEP_KEY(stability.folds), free_to_change, 2,
                    "folds of relations, each held out from the selection once"),
    };
}

Keys store_keys(TracingConfig::Store& store) {
    return {choice_key(MOESWEEP_KEY(store.vectors), part_of_identity, {"none", "outputs", "patches"},
                       "vectors kept: none, outputs (clean and noised MoE outputs), patches (one per row)")};
}

}  // namespace

Keys keys(TracingConfig& config) {
    return joined({model_keys(config.model), cases_keys(config.cases), noise_keys(config.noise),
                   sweep_keys(config.sweep), select_keys(config.select), controls_keys(config.controls),
                   scale_up_keys(config.scale_up), stability_keys(config.stability), stats_keys(config.stats),
                   parallel_keys(config.parallel), run_keys(config.run), store_keys(config.store)});
}

}  // namespace moesweep
