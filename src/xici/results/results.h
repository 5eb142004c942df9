// The tables of /results: one function each, in a file named after what it holds. A table's attribute "paper" says
// where arXiv 2603.17102 prints its like.
#pragma once
#include <string>
#include <vector>

#include "moesweep/store/result_table.h"
#include "moesweep/xici/ablation.h"
#include "moesweep/xici/contrast.h"

namespace moesweep {

/// What the tables are made of.
struct Findings {
    const XiciConfig& config;
    const Asking& asking;
    const RatedAnswers& before;
    const Contrast& contrast;
    const RatedAnswers* after;  ///< null where the questions have not been asked again

    /// The datasets by name, and "all" where there are several.
    struct Part {
        std::string name;
        std::vector<const DatasetContrast*> datasets;
        bool has(const Question& question) const;
    };
    std::vector<Part> parts() const;
};

/// Every table.
std::vector<ResultTable> result_tables(const Findings& findings);

// outcomes.cpp
ResultTable outcomes_table(const Findings& findings);
ResultTable languages_table(const Findings& findings);
ResultTable raters_table(const Findings& findings);
// identified.cpp
ResultTable identified_table(const Findings& findings);
ResultTable layers_table(const Findings& findings);
// ablation.cpp
ResultTable ablation_table(const Findings& findings);
ResultTable held_out_table(const Findings& findings);
ResultTable comparisons_table(const Findings& findings);
ResultTable unpaired_table(const Findings& findings);
// rules.cpp
ResultTable rules_table(const Findings& findings);

/// Of a set's kind: "identified", "random", ...
const char* name_of(SetKind kind);

}  // namespace moesweep
