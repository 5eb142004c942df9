// What every run reads of the model: its architecture, its tokenizer and its weights, opened and checked.
#pragma once
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "moesweep/comm/comm.h"
#include "moesweep/config/config.h"
#include "moesweep/model/weights.h"
#include "moesweep/text/tokenizer.h"

namespace moesweep {

struct ModelInputs {
    ModelConfig config;
    Tokenizer tokenizer;
    std::unique_ptr<Weights> weights;
    double embedding_std = 0;             ///< of all elements of the embedding matrix, unbiased
    std::vector<std::string> notes = {};  ///< what a user should know of how they were read, a line each
};

/// Every rank opens them; the embedding matrix is gone through by all together. SharedError as of what they read.
ModelInputs open_model(const RunConfig::Model& config, const Comm& world, c10::Device device);

}  // namespace moesweep
