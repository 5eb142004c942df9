#include "moesweep/json.h"

#include <set>
#include <vector>

namespace moesweep {
namespace {

constexpr int most_nested = 100;  // far above any file of ours: copying and printing a value take stack by the level

}  // namespace

Json parse_json(std::string_view text, const std::string& name) {
    std::vector<std::set<std::string>> keys;  // of the objects that are open at this point
    const auto refuse_duplicates = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > most_nested) fail(Exit::data, "{}: nested deeper than {} levels", name, most_nested);
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
            fail(Exit::data, "{}: {}: appears twice", name, parsed.get<std::string>());
        return true;
    };
    try {
        return Json::parse(text, refuse_duplicates);
    } catch (const Json::parse_error& broken) {
        fail(Exit::data, "{}: byte {}: not valid JSON", name, broken.byte);
    } catch (const Json::out_of_range&) {
        fail(Exit::data, "{}: holds a number beyond the range of double", name);
    }
}

}  // namespace moesweep
