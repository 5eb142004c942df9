#include "results.h"

namespace moesweep {

ResultTable layers_table(const Run&, const Study& study) {
    const auto& layers = study.layers;
    ResultTable table{"layers", "Block rescue of every layer on each half (eq. 4)", {}, {}};
    table.columns.push_back({"layer", "", "decoder layer, from 0", layers.layer});
    add_summaries(table, "discovery", layers.discovery);
    add_summaries(table, "validation", layers.validation);
    return table;
}

}  // namespace moesweep
