#include "moesweep/tracing/facts.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "moesweep/base/error.h"
#include "moesweep/base/files.h"
#include "moesweep/base/json_record.h"
#include "moesweep/stats/python_random.h"

namespace moesweep {
namespace {

constexpr std::int64_t widest_id = std::int64_t{1} << 62;  // seed + case_id must not overflow (see seed_key)

/// A record that makes a fact.
class Record : JsonRecord<Json> {
  public:
    using JsonRecord::refuse;

    Record(const Json& json, const std::string& file, std::size_t index)
        : JsonRecord(json, fmt::format("{}: record {}", file, index)) {
        const Json& id = member(json, "case_id", "case_id");
        if (!id.is_number_integer()) refuse("case_id: expected a whole number, got {}", shown(id));
        if (id.is_number_unsigned() ? id.get<std::uint64_t>() > widest_id : id.get<std::int64_t>() < -widest_id)
            refuse("case_id: expected a number within +-{}, got {}", widest_id, shown(id));
        case_id_ = id.get<std::int64_t>();
        identify(fmt::format("case_id {}", case_id_));
    }

    Fact fact() const {
        const Json& rewrite = object(json(), "requested_rewrite", "requested_rewrite");
        Fact fact{.case_id = case_id_};
        fact.relation = relation(rewrite);
        fact.subject = text(rewrite, "subject", "requested_rewrite.subject");
        fact.true_text = answer(rewrite, "target_true", "requested_rewrite.target_true");
        fact.foil_text = answer(rewrite, "target_new", "requested_rewrite.target_new");
        fill_prompt(fact, text(rewrite, "prompt", "requested_rewrite.prompt"));
        return fact;
    }

  private:
    /// An object's text. Blanks around it are dropped: how it follows the prompt is cases.object_token's business.
    std::string answer(const Json& rewrite, const char* key, const std::string& path) const {
        const std::string whole = text(object(rewrite, key, path), "str", path + ".str");
        const std::size_t begin = whole.find_first_not_of(' ');
        if (begin == whole.npos) refuse("{}.str: empty", path);
        return whole.substr(begin, whole.find_last_not_of(' ') - begin + 1);
    }

    /// Copies of CounterFact exist in which some relations are null: unknown, so empty here.
    std::string relation(const Json& rewrite) const {
        if (member(rewrite, "relation_id", "requested_rewrite.relation_id").is_null()) return "";
        return text(rewrite, "relation_id", "requested_rewrite.relation_id");
    }

    void fill_prompt(Fact& fact, const std::string& pattern) const {
        const std::size_t slot = pattern.find("{}");
        if (slot == pattern.npos || pattern.find("{}", slot + 2) != pattern.npos)
            refuse("requested_rewrite.prompt: expected exactly one {{}} for the subject, got {}", shown(pattern));
        fact.prompt = pattern.substr(0, slot) + fact.subject + pattern.substr(slot + 2);
        fact.subject_offset = code_points(std::string_view(pattern).substr(0, slot));
    }

    std::int64_t case_id_ = 0;
};

}  // namespace

std::int32_t code_points(std::string_view text) {
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    return static_cast<std::int32_t>(std::ranges::count_if(text, begins));
}

std::vector<Fact> read_facts(const std::filesystem::path& path) {
    const std::string file = path.string();
    const Json json = parse_json(read_file(path), file);
    if (!json.is_array()) fail(Exit::data, "{}: expected an array of records, got {}", file, json.type_name());
    if (json.empty()) fail(Exit::data, "{}: no record in it", file);

    std::vector<Fact> facts;
    facts.reserve(json.size());
    std::unordered_map<std::int64_t, std::size_t> seen;  // case_id -> record
    for (const Json& item : json) {
        const Record record(item, file, facts.size());
        Fact fact = record.fact();
        const auto [first, is_new] = seen.emplace(fact.case_id, facts.size());
        if (!is_new) record.refuse("case_id: repeated, first in record {}", first->second);
        facts.push_back(std::move(fact));
    }
    return facts;
}

std::vector<std::size_t> scan_order(std::size_t n, std::int64_t seed) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    PythonRandom(seed).shuffle(order);
    return order;
}

}  // namespace moesweep
