#include <algorithm>

#include "results.h"

namespace moesweep {
namespace {

struct Activity {
    std::string half;
    std::int64_t cases, active, zero_rescue, zero_spec, structural;
};

Activity activity(const std::string& half, const TestedCases& tested) {
    const auto zeros = [](const std::vector<double>& values) { return std::ranges::count(values, 0.0); };
    return {half,
            std::ssize(tested.case_index),
            std::ranges::count(tested.active, std::int8_t{1}),
            zeros(tested.expert_rescue),
            zeros(tested.spec),
            std::ranges::count(tested.active, std::int8_t{0})};
}

}  // namespace

ResultTable activity_table(const StudyInput& in, const Study& study) {
    ResultTable table{"activity", "Where the selected expert is active, and what is exactly 0", {}, {}};
    std::vector<Activity> lines;
    if (!note_no_expert(table, study)) {
        lines.push_back(activity("discovery", test_cases(in, in.sweep, study.selected, in.halves.discovery)));
        lines.push_back(activity("validation", study.validation));
    }
    table.columns = {
        {"half", "", "half of the cases", values_of(lines, &Activity::half)},
        {"cases", "", "cases of this half", values_of(lines, &Activity::cases)},
        {"active", "", "cases whose clean run routes to the selected expert", values_of(lines, &Activity::active)},
        {"zero_rescue", "", "cases where its rescue is exactly 0", values_of(lines, &Activity::zero_rescue)},
        {"zero_spec", "", "cases where its Spec is exactly 0", values_of(lines, &Activity::zero_spec)},
        {"structural", "", "cases where its rescue is 0 because it is not routed",
         values_of(lines, &Activity::structural)}};
    return table;
}

}  // namespace moesweep
