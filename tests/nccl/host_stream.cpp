#include "host_stream.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "device_stream.h"

struct CUstream_st {
    std::vector<std::function<void()>> work;
    std::size_t done = 0;

    void run(std::size_t end) {
        while (done < end) {
            const std::size_t next = done++;  // before the work, which may look at its own stream
            std::exchange(work[next], nullptr)();
        }
    }
};

struct CUevent_st {
    std::shared_ptr<std::pair<CUstream_st*, std::size_t>> place;
};

/// Never destroyed: others may still point to them.
static std::deque<CUstream_st> streams;

void put(moesweep::Stream stream, std::function<void()> work) {
    stream->work.push_back(std::move(work));
}

void synchronise(moesweep::Stream stream) {
    stream->run(stream->work.size());
}

namespace moesweep {

OwnStream::OwnStream() : stream_(&streams.emplace_back()) {}
OwnStream::~OwnStream() = default;

Mark::Mark() : event_(new CUevent_st) {}

Mark::~Mark() {
    delete event_;
}

void Mark::set(Stream stream) {
    event_->place = std::make_shared<std::pair<CUstream_st*, std::size_t>>(stream, stream->work.size());
}

void Mark::hold(Stream stream) const {
    if (const auto place = event_->place) put(stream, [place] { place->first->run(place->second); });
}

}  // namespace moesweep
