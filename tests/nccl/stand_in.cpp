// See stand_in.h. Stricter than NCCL: sends and receives must be in a group and not empty, and communicators must not
// block. As in NCCL, nothing moves before ncclGroupEnd, and then only as a part of the stream.
#include "stand_in.h"

#include <mpi.h>

#include <atomic>
#include <climits>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "host_stream.h"

namespace {

struct Message {
    ncclComm_t comm;
    cudaStream_t stream;
    bool is_send;
    void* data;
    size_t bytes;
    int peer;
};

struct Id {  // what an ncclUniqueId holds here
    int root, tag;
};

std::mutex counting;  // a watchdog's thread calls, too
std::map<std::string, ncclResult_t> refusals;
std::map<std::string, int> calls;
std::atomic<ncclResult_t> behind = ncclSuccess;
std::vector<Message> group;
int depth = 0;

}  // namespace

struct ncclComm {
    MPI_Comm ranks = MPI_COMM_NULL;  // null: one rank, maybe without MPI
    int size = 1;
    std::atomic<int> looks_until_done = 0;
    std::shared_ptr<bool> aborted = std::make_shared<bool>(false);  // then work that is still on a stream does nothing
};

namespace {

/// Counts the call, and returns what a test made it return.
std::optional<ncclResult_t> enter(const std::string& call) {
    const std::lock_guard lock(counting);
    ++calls[call];
    const auto refusal = refusals.find(call);
    if (refusal == refusals.end()) return std::nullopt;
    const ncclResult_t result = refusal->second;
    refusals.erase(refusal);
    return result;
}

/// As calls of a non-blocking communicator: done after some polls.
ncclResult_t in_progress(ncclComm_t comm) {
    comm->looks_until_done = 3;
    return ncclInProgress;
}

/// The world ranks of a communicator; its members know only the root's.
std::vector<int> meet(const Id& id, int size, int rank) {
    std::vector<int> members(static_cast<size_t>(size));
    int me = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    if (rank != 0) {
        const int card[2] = {rank, me};
        MPI_Send(card, 2, MPI_INT, id.root, id.tag, MPI_COMM_WORLD);
        MPI_Recv(members.data(), size, MPI_INT, id.root, id.tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        return members;
    }
    members[0] = me;
    for (int r = 1; r < size; ++r) {
        int card[2];
        MPI_Recv(card, 2, MPI_INT, MPI_ANY_SOURCE, id.tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        members[static_cast<size_t>(card[0])] = card[1];
    }
    for (int r = 1; r < size; ++r)
        MPI_Send(members.data(), size, MPI_INT, members[static_cast<size_t>(r)], id.tag, MPI_COMM_WORLD);
    return members;
}

ncclResult_t note(const char* call, ncclComm_t comm, cudaStream_t stream, bool is_send, void* data, size_t bytes,
                  ncclDataType_t type, int peer) {
    if (const auto refusal = enter(call)) return *refusal;
    if (depth == 0) return ncclInvalidUsage;
    if (!data || bytes == 0 || bytes > INT_MAX || type != ncclUint8 || peer < 0 || peer >= comm->size)
        return ncclInvalidArgument;
    group.push_back({comm, stream, is_send, data, bytes, peer});
    return ncclSuccess;
}

void move_alone(const std::vector<Message>& messages) {
    for (const auto& in : messages)
        for (const auto& out : messages)
            if (!in.is_send && out.is_send && in.bytes == out.bytes) std::memcpy(in.data, out.data, in.bytes);
}

void move(const std::vector<Message>& messages) {
    if (messages.front().comm->ranks == MPI_COMM_NULL) return move_alone(messages);
    std::vector<MPI_Request> requests;
    for (const auto& m : messages) {
        auto& request = requests.emplace_back();
        const int bytes = static_cast<int>(m.bytes);
        if (m.is_send)
            MPI_Isend(m.data, bytes, MPI_BYTE, m.peer, 0, m.comm->ranks, &request);
        else
            MPI_Irecv(m.data, bytes, MPI_BYTE, m.peer, 0, m.comm->ranks, &request);
    }
    MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
}

}  // namespace

void stand_in_refuses(const std::string& call, ncclResult_t result) {
    refusals[call] = result;
}

void stand_in_fails_behind(ncclResult_t result) {
    behind = result;
}

int stand_in_calls(const std::string& call) {
    return calls[call];
}

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
    if (const auto refusal = enter("ncclGetUniqueId")) return *refusal;
    Id mine{0, 100 + calls["ncclGetUniqueId"]};
    int there = 0;
    MPI_Initialized(&there);
    if (there) MPI_Comm_rank(MPI_COMM_WORLD, &mine.root);
    std::memcpy(id->internal, &mine, sizeof mine);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId unique, int rank, ncclConfig_t* config) {
    if (const auto refusal = enter("ncclCommInitRankConfig")) return *refusal;
    if (!config || config->magic != 0xcafebeef || config->blocking != 0) return ncclInvalidArgument;
    *comm = new ncclComm;
    (*comm)->size = size;
    if (size > 1) {
        Id id{};
        std::memcpy(&id, unique.internal, sizeof id);
        const std::vector<int> members = meet(id, size, rank);
        MPI_Group world, part;
        MPI_Comm_group(MPI_COMM_WORLD, &world);
        MPI_Group_incl(world, size, members.data(), &part);
        MPI_Comm_create_group(MPI_COMM_WORLD, part, id.tag, &(*comm)->ranks);
        MPI_Group_free(&part);
        MPI_Group_free(&world);
    }
    return in_progress(*comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
    if (const auto refusal = enter("ncclCommGetAsyncError")) return *refusal;
    *state = behind;
    if (comm->looks_until_done > 0 && --comm->looks_until_done > 0) *state = ncclInProgress;
    return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
    if (const auto refusal = enter("ncclGroupStart")) return *refusal;
    ++depth;
    return ncclSuccess;
}

ncclResult_t ncclSend(const void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
    return note("ncclSend", comm, stream, true, const_cast<void*>(data), count, type, peer);
}

ncclResult_t ncclRecv(void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
    return note("ncclRecv", comm, stream, false, data, count, type, peer);
}

ncclResult_t ncclGroupEnd() {
    const auto refusal = enter("ncclGroupEnd");
    if (depth == 0) return ncclInvalidUsage;
    if (--depth > 0) return ncclSuccess;
    const std::vector<Message> messages = std::move(group);
    group.clear();
    if (refusal) return *refusal;
    if (messages.empty()) return ncclSuccess;
    put(messages.front().stream, [messages, aborted = messages.front().comm->aborted] {
        if (!*aborted) move(messages);
    });
    return in_progress(messages.front().comm);
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
    if (const auto refusal = enter("ncclCommFinalize")) return *refusal;
    return in_progress(comm);
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
    if (const auto refusal = enter("ncclCommDestroy")) return *refusal;
    if (comm->ranks != MPI_COMM_NULL) MPI_Comm_free(&comm->ranks);
    delete comm;
    return ncclSuccess;
}

/// Leaves freeing to MPI's end, because it is collective and other ranks may be gone.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    if (const auto refusal = enter("ncclCommAbort")) return *refusal;
    std::fputs("stand-in: ncclCommAbort\n", stderr);
    *comm->aborted = true;
    delete comm;
    return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
    static const std::map<ncclResult_t, const char*> words = {{ncclSystemError, "unhandled system error"},
                                                              {ncclInvalidArgument, "invalid argument"},
                                                              {ncclInvalidUsage, "invalid usage"},
                                                              {ncclRemoteError, "remote process exited"}};
    const auto found = words.find(result);
    return found == words.end() ? "unknown" : found->second;
}

const char* ncclGetLastError(ncclComm_t) {
    return "the stand-in's last word";
}

}  // extern "C"
