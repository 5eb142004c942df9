// Computing what is not there yet: units are handed out to expert groups as they ask for more, computed, and committed.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "moesweep/engine/pass_control.h"
#include "moesweep/run/job.h"

namespace moesweep {

/// A series of units, numbered from 0.
struct UnitSet {
    std::string title;  ///< for progress
    Store store;        ///< where they are
    std::int64_t count = 0;

    bool complete() const { return store.missing_units(count).empty(); }
};

/// Units that a rank computes together. A rank of a group may have none.
struct Assignment {
    std::vector<std::int64_t> units;
    std::int64_t most_units;  ///< of any rank of the group
    PassControl control;      ///< for the pass
};
/// Writes what was computed.
using Commit = std::function<void()>;
/// Computes an assignment: how to commit it, or nothing if it was left in the middle because the run stops. Every rank
/// of a group is in it at the same time.
using Work = std::function<Commit(const Assignment&)>;

/// Computes and commits every unit of a set that is not there yet. False if a rank was asked to stop first, or the
/// deadline came: what is in hand is left between two micro-batches. If a rank cannot commit, nothing more is handed
/// out, the others commit what they have in hand, and all throw its error. Every rank calls it.
bool compute_units(Job& job, const UnitSet& set, const Work& work);

}  // namespace moesweep
