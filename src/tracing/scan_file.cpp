#include "moesweep/tracing/scan_file.h"

#include "case_columns.h"
#include "moesweep/base/error.h"

namespace moesweep {

std::int32_t Scan::experts() const {
    for (const auto& [key, value] : meta)
        if (key == "num_experts") return std::stoi(value);
    fail(Exit::data, "cases.h5: meta: num_experts: missing");
}

std::optional<Scan> read_scan(const Store& store, const TracingConfig& config) {
    CaseColumns columns;
    const auto meta = store.read_items("cases", targets(columns));
    if (!meta) return std::nullopt;
    Scan scan{to_cases(std::move(columns), (store.folder() / "cases.h5").string()), *meta};
    split_cases(config, scan.cases);
    return scan;
}

void write_scan(const Store& store, const Scan& scan) {
    CaseColumns columns = to_columns(scan.cases);
    columns.split.assign(columns.split.size(), Split::none);
    columns.relaxed_split.assign(columns.relaxed_split.size(), Split::none);
    store.write_items("cases", scan.meta, views(columns));
}

}  // namespace moesweep
