// Tables 4 and 8 of the paper from its own 256 + 256 cases.
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "result_tables.h"
#include "study_run.h"
#include "support.h"

using namespace moesweep;
using Json = nlohmann::ordered_json;  // Table 4 has an order
using Ids = std::vector<std::int64_t>;

namespace {

Json read(const std::filesystem::path& path) {
    std::ifstream file(path);
    return Json::parse(file);
}

/// A run that scanned all facts in the protocol's order and found the paper's cases usable; one layer, rescues all 1.
HandRun scanned(const std::vector<Fact>& facts, Ids usable) {
    HandRun run(4, 2, 128, 64);
    std::ranges::sort(usable);
    for (auto record : scan_order(facts.size(), 0)) {
        if (!std::ranges::binary_search(usable, facts[record].case_id)) continue;
        const auto c = run.add_case(Split::none);
        run.cases.back().fact = facts[record];
        run.cases.back().status = Status::usable;
        run.layer(c, 0, 1, {1, 2}, {1, 0});
    }
    split_cases(run.config, run.cases);
    return run;
}

}  // namespace

TEST_CASE("the paper's cases give its tables 4 and 8, order included") {
    const auto shared = shared_folder();
    if (!shared) {
        WARN("skipped: MOESWEEP_SHARED names no folder");
        return;
    }
    const auto facts = read_facts(*shared / "data" / "counterfact.json");
    const Json ids = read(*shared / "paper" / "case_ids.json")["cases"];
    const Json printed = read(*shared / "paper" / "tables.json")["table4_relations"];
    const std::map<std::string, std::string> keys{{"Qwen3", "qwen3"}, {"Mixtral", "mixtral"}};
    for (const auto& [model, key] : keys) {
        INFO(model);
        const Ids discovery = ids[model]["discovery"], validation = ids[model]["validation"];
        Ids all = discovery;
        all.insert(all.end(), validation.begin(), validation.end());
        const auto tables = scanned(facts, all).results().tables;

        const ResultTable& split_cases = table_named(tables, "split_cases");
        CHECK(column<std::int64_t>(split_cases, "case_id") == all);
        std::vector<std::string> splits(128, "discovery");
        splits.resize(256, "validation");
        CHECK(column<std::string>(split_cases, "split") == splits);

        const ResultTable& table = table_named(tables, "relations");
        std::vector<std::string> relations;
        std::vector<std::int64_t> counts;
        for (const auto& [relation, n] : printed[key].items()) {
            relations.push_back(relation);
            counts.push_back(n);
        }
        REQUIRE(relations.size() == 12);
        auto ours = column<std::string>(table, "relation");
        auto n = column<std::int64_t>(table, "n");
        CHECK(std::accumulate(n.begin(), n.end(), std::int64_t{0}) == 256);
        ours.resize(12);
        n.resize(12);
        CHECK(ours == relations);
        CHECK(n == counts);
    }
}
