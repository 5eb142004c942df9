// A Comm's MPI objects.
#pragma once
#include <mpi.h>

#include <climits>

#include <list>
#include <memory>
#include <vector>

#include "device_network.h"
#include "moesweep/comm/comm.h"

namespace moesweep {

/// Error(blame) with MPI's message unless `code` is success.
void check(int code, const char* call, Exit blame = Exit::internal);
/// A count as MPI takes it. Error(internal) beyond 2^31 - 1.
int to_int(std::int64_t count);

/// Checks a call that waits for other ranks; Comm::waiting_in() names it meanwhile.
template <class Call, class... Args>
void wait_for(const char* name, Call call, Args... args) {
    const Comm::Waiting waiting(name);
    check(call(args...), name);
}

struct Comm::Handle {
    explicit Handle(MPI_Comm ranks) : comm(ranks) { check(MPI_Comm_dup(ranks, &mail), "MPI_Comm_dup"); }
    ~Handle();
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    static Comm adopt(MPI_Comm comm);

    struct Outgoing {
        std::vector<std::int64_t> words;
        MPI_Request request;
    };
    MPI_Comm comm;
    MPI_Comm mail = MPI_COMM_NULL;  // for messages alone
    std::list<Outgoing> messages;   // not delivered yet
    MPI_Win memory = MPI_WIN_NULL;  // shared by the node
    bool asked_for_devices = false;
    std::unique_ptr<DeviceNetwork> devices;  // made by the first exchange of their rows; null if they share one
};

}  // namespace moesweep
