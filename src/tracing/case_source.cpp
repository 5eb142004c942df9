#include "moesweep/tracing/case_source.h"

#include "moesweep/base/error.h"

namespace moesweep {
namespace {

const std::string& required(const std::string& path) {
    if (path.empty()) fail(Exit::usage, "cases.path: required, set it in the configuration or as --cases.path=...");
    return path;
}

}  // namespace

CaseSource::CaseSource(const TracingConfig& config, const Tokenizer& tokenizer)
    : config_(config),
      tokenizer_(tokenizer),
      facts_(read_facts(required(config.cases.path))),
      order_(scan_order(facts_.size(), config.cases.seed)) {}

const Case& CaseSource::at(std::size_t place) {
    while (cases_.size() <= place) {
        const std::size_t record = order_[cases_.size()];
        cases_.push_back(make_case(tokenizer_, config_, facts_[record], static_cast<std::int32_t>(record)));
    }
    return cases_[place];
}

}  // namespace moesweep
