// What a run's layout would be, for people.
#pragma once
#include <string>

#include "moesweep/run/job.h"

namespace moesweep {

/// A line of a plan: what, then the value.
void print_plan_line(const char* what, const std::string& value);
/// 61.1 GB
std::string bytes_text(std::int64_t bytes);

/// Prints what every run has: notes and BOS at first, then, with the layout for the work, ranks, device, weights and
/// memory. `items` is the word for what a unit holds. Root prints. Every rank calls it. SharedError where run.memory
/// does not hold it.
void print_model(const Job& job);
void print_layout(const Job& job, const Workload& work, const char* items);

}  // namespace moesweep
