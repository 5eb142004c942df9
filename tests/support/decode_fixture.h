// A tiny random checkpoint with prompts to be answered.
#pragma once
#include <random>
#include <vector>

#include "catch_beside_torch.h"
#include "moesweep/engine/decode.h"
#include "support.h"
#include "tiny_model.h"

namespace moesweep {

struct DecodeFixture {
    Scratch scratch;
    TinyModel model;
    Weights weights;
    mutable LayerSource layers;  // changes as it is read
    Comm alone = Comm::alone();
    std::vector<Prompt> prompts;

    /// Prompts of 1 to 50 tokens.
    DecodeFixture(const Json& json, Precision precision)
        : model(write_tiny_model(scratch.folder(), json, 12)),
          weights(scratch.folder(), model.config, precision),
          layers(weights, {0, model.config.router.num_experts}, /*streamed=*/false) {
        at::set_num_threads(1);
        std::mt19937 random(7);
        for (const int length : {3, 17, 1, 50, 5, 16, 2}) {
            Prompt& prompt = prompts.emplace_back();
            for (int t = 0; t < length; ++t)
                prompt.tokens.push_back(static_cast<int>(random() % static_cast<unsigned>(model.config.vocab_size)));
        }
    }
    static DecodePlan all_at_once() {
        return {.max_tokens = 5, .capture = true, .cache_rows = 1000, .step_rows = 1000, .control = {}};
    }
    std::vector<Answer> run(const DecodePlan& plan) const {
        return decode({weights, layers, alone}, prompts, plan).value();
    }
};

inline bool same_weights(const GateWeights& a, const GateWeights& b) {
    return a.tokens == b.tokens && a.sum == b.sum;
}

/// To the last bit.
inline bool same_answer(const Answer& a, const Answer& b) {
    return a.tokens == b.tokens && a.gaps == b.gaps && a.stopped == b.stopped && a.disobeyed == b.disobeyed &&
           same_weights(a.of_prompt, b.of_prompt) && same_weights(a.of_answer, b.of_answer);
}

}  // namespace moesweep
