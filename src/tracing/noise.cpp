#include "moesweep/tracing/noise.h"

namespace moesweep {

PassCase make_pass_case(const TracingConfig::Noise& config, const ModelInputs& model, const Case& c, std::int32_t index,
                        const Noise& noise) {
    // torch's CPU generator keeps the low 32 bits of a seed: 2^22 holds the case ids, and 1000 draws still fit above
    // them.
    const std::int64_t seed = config.seed + c.fact.case_id + (std::int64_t{noise.draw} << 22);
    return {&c, index,
            subject_noise(c.subject_end - c.subject_begin, model.config.hidden_size, noise.scale * model.embedding_std,
                          seed)};
}

}  // namespace moesweep
