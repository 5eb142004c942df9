// identify_probe RAW [section.key=value ...]: experts and conditions of one dataset, for oracle/test_identify.py. RAW
// holds, little-endian, int64 [L, E, N]; uint8 [L], whether a layer has routed experts; int32 [N, 4], a sequence's
// question, language, whether right, and relation (0: none); float32 [N, layers with routed experts, E]. The router has
// a softmax. Prints a line "WORD numbers ..." for each thing found.
#include <fmt/ranges.h>

#include <bit>
#include <fstream>
#include <map>

#include "moesweep/base/error.h"
#include "moesweep/xici/conditions.h"

using namespace moesweep;

namespace {

template <class T>
std::vector<T> read(std::istream& file, std::int64_t n) {
    std::vector<T> values(static_cast<std::size_t>(n));
    if (!file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T))))
        fail(Exit::data, "the file is too short");
    return values;
}

std::vector<std::string> texts(const std::vector<ExpertId>& experts) {
    std::vector<std::string> texts;
    for (const ExpertId& expert : experts) texts.push_back(fmt::format("{} {}", expert.layer, expert.expert));
    return texts;
}

void print(const Identification& found, const char* prefix) {
    fmt::print("{}blacklist {}\n", prefix, fmt::join(texts(found.blacklist), " "));
    for (const QuestionExperts& of : found.questions) {
        fmt::print("{}question {} {} {} {} {}\n", prefix, of.question, of.right, of.wrong, of.tested, of.significant);
        for (const Candidate& one : of.candidates)
            fmt::print("{}candidate {} {} {} {:.17g} {:.17g} {:.17g} {:.17g} {:.17g}\n", prefix, of.question,
                       one.expert.layer, one.expert.expert, one.u, one.p, one.difference, one.u_rank,
                       one.difference_rank);
    }
}

}  // namespace

int main(int argc, char** argv) try {
    static_assert(std::endian::native == std::endian::little);
    const auto config = load_config<XiciConfig>("", {argv + 2, argv + argc});
    std::ifstream file(argv[1], std::ios::binary);
    const auto shape = read<std::int64_t>(file, 3);
    const auto moe = read<std::uint8_t>(file, shape[0]);
    const auto columns = read<std::int32_t>(file, shape[2] * 4);

    Captures captures;
    std::map<std::int32_t, std::string> relations;
    for (std::int32_t layer = 0; layer < shape[0]; layer++)
        if (moe[static_cast<std::size_t>(layer)]) captures.layers.push_back(layer);
    captures.experts = shape[1];
    for (std::size_t i = 0; i < columns.size(); i += 4) {
        captures.sequences.push_back({columns[i], columns[i + 1], columns[i + 2] != 0});
        relations[columns[i]] = columns[i + 3] ? std::to_string(columns[i + 3]) : "";
    }
    const auto weights = read<float>(file, shape[2] * shape[1] * static_cast<std::int64_t>(captures.layers.size()));
    captures.weights = weights;

    const IdentifyRules rules = identify_rules(config.identify, {moe.begin(), moe.end()}, false);
    DatasetExperts dataset{identify(captures, rules), {}, {}, shape[1]};
    print(dataset.identified, "");
    for (const auto& [question, relation] : relations) dataset.relations.push_back(relation);
    if (config.deactivate.permuted) {
        captures.sequences = permute_labels(captures.sequences, config.deactivate.seed);
        dataset.permuted = identify(captures, rules);
        print(*dataset.permuted, "permuted_");
    }
    const Conditions all = conditions(dataset, rules, config.deactivate);
    for (const ExpertSet& set : all.sets) fmt::print("set {} {}\n", set.question, fmt::join(texts(set.experts), " "));
    for (const AblationCondition& one : all.conditions)
        fmt::print("condition {} {} {} {} {} {}\n", static_cast<int>(one.kind), one.cap, one.draw, one.question,
                   one.source, one.set);
    for (const Unpaired& one : all.unpaired) fmt::print("unpaired {} {}\n", static_cast<int>(one.kind), one.question);
} catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
}
