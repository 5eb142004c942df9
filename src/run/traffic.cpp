#include <algorithm>

#include "moesweep/run/job.h"

namespace moesweep {

void log_traffic(Job& job) {
    LayerTraffic all;
    for (std::size_t l = 0; l < job.traffic.size(); ++l) {
        const LayerTraffic& layer = job.traffic[l];
        if (layer.slots_computed == 0 && layer.rows == 0) continue;
        job.progress.note(
            fmt::format("layer {}: {} rows and {:.1f} MB sent, {} slots computed; seconds computing {:.2f}, "
                        "waiting {:.2f}, sending {:.2f}",
                        l, layer.rows, static_cast<double>(layer.bytes) / 1e6, layer.slots_computed,
                        layer.seconds_computing, layer.seconds_waiting, layer.seconds_sending));
        all.rows += layer.rows;
        all.bytes += layer.bytes;
        all.seconds_computing += layer.seconds_computing;
        all.seconds_waiting += layer.seconds_waiting;
        all.seconds_sending += layer.seconds_sending;
    }
    if (job.layers->streamed())
        job.progress.note(fmt::format("weights: {:.1f} MB read, {:.2f} s waited for them",
                                      static_cast<double>(job.layers->bytes_read()) / 1e6,
                                      job.layers->seconds_waited()));
    const auto computing = job.world.gather_all(std::vector<double>{all.seconds_computing});
    double sum = 0;
    for (const double seconds : computing) sum += seconds;
    const double mean = sum / static_cast<double>(computing.size());
    if (job.group->size() == 1 || mean == 0) return;
    job.progress.note(
        fmt::format("experts: {} rows and {:.1f} MB sent by this rank; seconds computing {:.2f}, waiting {:.2f}, "
                    "sending {:.2f}; the "
                    "busiest rank computed {:.2f} times the mean",
                    all.rows, static_cast<double>(all.bytes) / 1e6, all.seconds_computing, all.seconds_waiting,
                    all.seconds_sending, *std::ranges::max_element(computing) / mean));
}

}  // namespace moesweep
