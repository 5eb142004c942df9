// Facts in CounterFact's JSON, and the order in which they are scanned.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace moesweep {

/// One CounterFact record (ROME layout).
struct Fact {
    std::int64_t case_id = 0;  ///< within +-2^62, so that a seed can be added
    std::string relation;      ///< relation_id, empty where the file has null
    std::string subject;
    std::string prompt;                ///< with the subject filled in
    std::string true_text, foil_text;  ///< target_true and target_new, without blanks around them
    std::int32_t subject_offset = 0;   ///< where the subject begins in the prompt, in code points
};

/// The number of Unicode code points of a valid UTF-8 text.
std::int32_t code_points(std::string_view text);

/// Reads CounterFact's JSON. Error(data) names the file, the record (index and case_id) and the field that is missing,
/// empty, of the wrong type, or a prompt without exactly one "{}"; also a repeated case_id and a file without records;
/// JSON broken at a byte by that byte.
std::vector<Fact> read_facts(const std::filesystem::path& path);

/// The order in which records are scanned: random.Random(seed).shuffle(list(range(n))).
std::vector<std::size_t> scan_order(std::size_t n, std::int64_t seed);

}  // namespace moesweep
