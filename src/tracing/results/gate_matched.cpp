#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "results.h"

namespace moesweep {
namespace {

/// Rescues of the selected expert and of its control, a case each, and their difference (eq. 9).
struct Contrast {
    std::vector<double> selected, control, spec;
    void add(double of_selected, double of_control) {
        selected.push_back(of_selected);
        control.push_back(of_control);
        spec.push_back(of_selected - of_control);
    }
};

struct Contrasts {
    Contrast raw, equal_norm;
    std::size_t missing = 0;  ///< pairs without equal-norm rows
};

/// The selected expert against its gate-matched control, over the validation cases that have both.
Contrasts contrast(const StudyInput& in, Selection selected) {
    const auto [layer, expert] = selected;
    Contrasts contrasts;
    for (auto case_index : in.halves.validation) {
        const Routed routed = in.sweep.routed(case_index, layer);
        const auto control = gate_matched_control(routed.expert, routed.weight, expert);
        if (!control) continue;
        contrasts.raw.add(routed.rescue_of(expert), routed.rescue_of(*control));
        const auto of_selected = in.sweep.equal_norm_rescue(case_index, layer, expert),
                   of_control = in.sweep.equal_norm_rescue(case_index, layer, *control);
        if (of_selected && of_control) {
            contrasts.equal_norm.add(*of_selected, *of_control);
        } else if (routed.patch_norm_of(expert) == 0.0f || routed.patch_norm_of(*control) == 0.0f) {
            contrasts.equal_norm.add(0, 0);  // the smaller norm is 0: both scaled patches are, and no row is needed
        } else {
            ++contrasts.missing;
        }
    }
    return contrasts;
}

void note_missing(ResultTable& table, const StudyInput& in, const Contrasts& contrasts) {
    const auto pairs = contrasts.raw.spec.size();
    if (pairs == 0) {
        add_note(table,
                 "In no validation case does the clean run route to the selected expert and another one beside it.");
    } else if (contrasts.missing > 0 && !in.config.controls.equal_norm) {
        add_note(table, "No equal-norm rows were asked for (controls.equal_norm = no).");
    } else if (contrasts.missing > 0) {
        add_note(table,
                 fmt::format("/controls has no equal-norm rows for {} of {} pairs: they are not in the equal-norm "
                             "lines.",
                             contrasts.missing, pairs));
    }
}

}  // namespace

std::optional<std::int32_t> gate_matched_control(std::span<const std::int32_t> experts, std::span<const float> weights,
                                                 std::int32_t selected) {
    const auto place = std::ranges::find(experts, selected);
    if (place == experts.end()) return std::nullopt;
    const double wanted = weights[static_cast<std::size_t>(place - experts.begin())];

    std::optional<std::tuple<double, std::int32_t>> nearest;  // distance, then index: ties go to the lower expert
    for (std::size_t i = 0; i < experts.size(); ++i) {
        const std::tuple candidate(std::abs(weights[i] - wanted), experts[i]);
        if (experts[i] != selected && (!nearest || candidate < *nearest)) nearest = candidate;
    }
    return nearest ? std::optional(std::get<1>(*nearest)) : std::nullopt;
}

ResultTable gate_matched_table(const StudyInput& in, const Study& study) {
    ResultTable table{
        "gate_matched",
        "The selected expert against its gate-matched control, the other clean-active expert with the "
        "nearest routing weight: raw, and with both patches scaled to the smaller of their norms (eq. 8-10); "
        "validation cases in which the clean run routes to both",
        {},
        {}};
    std::vector<std::string> quantities, versions;
    std::vector<Summary> summaries;
    const auto add = [&](const char* version, const Contrast& of) {
        if (of.spec.empty()) return;
        const auto line = [&](const char* quantity, const std::vector<double>& values) {
            quantities.push_back(quantity);
            versions.push_back(version);
            summaries.push_back(summarize(values, in.stats));
        };
        line("selected", of.selected);
        line("matched_control", of.control);
        line("spec", of.spec);
    };
    if (!note_no_expert(table, study)) {
        const Contrasts contrasts = contrast(in, study.selected);
        note_missing(table, in, contrasts);
        add("raw", contrasts.raw);
        add("equal_norm", contrasts.equal_norm);
    }
    table.columns.push_back(
        {"quantity", "", "rescue of the selected expert, of its control, or their difference", std::move(quantities)});
    table.columns.push_back({"version", "", "the patches as they are, or scaled to equal norm", std::move(versions)});
    add_summaries(table, "", summaries);
    return table;
}

ResultTable two_experts_table(const StudyInput& in, const Study& study) {
    ResultTable table{"two_experts",
                      "Two experts per token: the selected expert against the other active one, raw and with both "
                      "patches scaled to the smaller of their norms; validation cases where the selected one is active",
                      {},
                      {}};
    std::vector<Quantity> lines;
    const auto add = [&](const char* quantity, const std::vector<double>& values) {
        if (!values.empty()) lines.push_back({quantity, summarize(values, in.stats)});
    };
    if (const auto k = in.sweep.k(); k != 2) {
        add_note(table, fmt::format("The model routes a token to {} experts, not to 2: see /results/gate_matched.", k));
    } else if (!note_no_expert(table, study)) {
        const Contrasts contrasts = contrast(in, study.selected);
        note_missing(table, in, contrasts);
        add("raw_spec", contrasts.raw.spec);
        add("selected_equal_norm", contrasts.equal_norm.selected);
        add("other_equal_norm", contrasts.equal_norm.control);
        add("equal_norm_spec", contrasts.equal_norm.spec);
    }
    add_quantities(table, lines);
    return table;
}

}  // namespace moesweep
