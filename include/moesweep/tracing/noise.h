// The noise on the subject's embeddings (paper, eq. 2).
#pragma once
#include <cstdint>

#include "moesweep/run/model_inputs.h"
#include "moesweep/tracing/sweep_pass.h"

namespace moesweep {

/// A draw of the subject noise for every case: sigma = scale x the standard deviation of the embedding matrix.
struct Noise {
    double scale = 0;
    std::int32_t draw = 0;
};

/// A case as the layer pass takes it, with its noise from seed noise.seed + case_id + draw x 2^22.
PassCase make_pass_case(const TracingConfig::Noise& config, const ModelInputs& model, const Case& c, std::int32_t index,
                        const Noise& noise);

}  // namespace moesweep
