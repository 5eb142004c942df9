#include "results.h"

namespace moesweep {

ResultTable candidates_table(const StudyInput&, const Study& study) {
    const auto& candidates = study.candidates;
    return {
        "candidates",
        "The experts of the selected layer as candidates for selection",
        {{"expert", "", "expert index, from 0", candidates.expert},
         {"discovery_active", "", "discovery cases whose clean run routes to it", candidates.discovery_active},
         {"validation_active", "", "validation cases whose clean run routes to it", candidates.validation_active},
         {"discovery_rescue", "logit", "mean rescue over all discovery cases, inactive = 0; the highest is selected",
          candidates.discovery_rescue},
         {"discovery_rescue_active", "logit", "mean rescue over the discovery cases where it is active; NaN: none",
          candidates.discovery_rescue_active},
         {"recurrent", "", "1 if active in at least select.recurrence discovery cases", candidates.recurrent}},
        {}};
}

ResultTable heatmap_table(const StudyInput&, const Study& study) {
    const auto& map = study.heatmap;
    return {"heatmap",
            "Every expert of every swept layer, over the cases of both halves: a line per layer, a column per expert",
            {{"layer", "", "decoder layer, from 0", map.layer},
             {"mean_rescue", "logit", "mean rescue, inactive = 0; NaN where the layer has no expert rows",
              map.mean_rescue, map.experts},
             {"active", "", "cases whose clean run routes to the expert", map.active, map.experts}},
            {}};
}

}  // namespace moesweep
