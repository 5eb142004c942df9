#include "moesweep/run/compute_units.h"

#include "dealer.h"
#include "moesweep/run/stop.h"

namespace moesweep {

bool compute_units(Job& job, const UnitSet& set, const Work& work) {
    const Comm &world = job.world, &group = *job.group;
    std::vector<std::int64_t> missing;
    world.together([&] {
        if (world.root()) missing = set.store.missing_units(set.count);
    });
    const std::int64_t to_do = world.broadcast(std::vector{static_cast<std::int64_t>(missing.size())})[0];
    if (to_do == 0) return true;

    Dealer dealer(world, group, std::move(missing), job.layout.units_per_pass, job.deadline);
    const auto done = [&] { return set.count - to_do + dealer.done(); };
    const auto serve = [&] {
        job.watchdog.tick();
        dealer.serve(stop_requested());
    };
    job.watchdog.phase("sweep");
    job.progress.begin(set.title, done(), set.count);

    std::optional<Error> failure;  // of this rank; told at the end, when the others have finished what they had in hand
    const auto attempt = [&](auto&& step) {
        try {
            step();
        } catch (const Error& error) {
            job.progress.note(error.what());
            failure = error;
        }
    };
    while (const auto units = dealer.next(failure.has_value())) {
        Assignment assignment{*units, dealer.busiest(), {}};
        const auto in_hand = static_cast<double>(dealer.busiest() * group.size());
        assignment.control.tick = serve;
        assignment.control.stop = [&] { return serve(), dealer.stopping(); };
        assignment.control.on_progress = [&](double share, std::int64_t rows) {
            job.progress.update(done(), in_hand * share, rows);
        };
        Commit commit;
        const auto compute = [&] { commit = work(assignment); };
        if (group.size() == 1)
            attempt(compute);
        else
            compute();  // the others of the group wait for this rank in every step: an Error here ends the run at once
        if (commit)
            attempt([&] {
                Comm::stay_if_ending();
                commit();
            });
        else if (!failure)
            dealer.serve(/*stop=*/true);  // left in the middle, maybe because another rank was asked to stop
        job.progress.update(done(), 0, 0);
    }
    world.together([&] {
        if (failure) throw Error(*failure);
    });
    job.watchdog.phase("swept", Watchdog::Signs::work);
    job.progress.update(done(), 0, 0);
    job.progress.end();
    bool complete = false;
    world.together([&] { complete = !world.root() || set.complete(); });
    return !world.any(!complete);
}

}  // namespace moesweep
